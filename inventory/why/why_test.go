package why

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// before is a time some seconds ago.
func before(seconds int) time.Time { return now.Add(-time.Duration(seconds) * time.Second) }

// step adds evidence.
type step func(*testing.T, *Evidence)

// given is the evidence about a machine in a state since an hour ago.
func given(t *testing.T, state inventory.State, phase inventory.Phase, steps ...step) Evidence {
	t.Helper()
	m := &inventory.Machine{ID: "m-1", Name: "web", Kind: inventory.KindMetal, Spec: inventory.Spec{Approved: true, Generation: 3, Image: "debian-12:stable"},
		Status: inventory.Status{State: state, Phase: phase, PhaseSince: before(3600), Beat: before(3600)}}
	ev := Evidence{Now: now, Machine: m}
	for _, s := range steps {
		s(t, &ev)
	}
	return ev
}

func event(seconds int, p inventory.Payload) step {
	return func(t *testing.T, ev *Evidence) {
		t.Helper()
		e, err := inventory.NewEvent(ev.Machine, before(seconds), p)
		if err != nil {
			t.Fatal(err)
		}
		ev.Events = append(ev.Events, e)
	}
}

func serverEvent(seconds int, p inventory.Payload) step {
	return func(t *testing.T, ev *Evidence) {
		t.Helper()
		e, err := inventory.NewEvent(nil, before(seconds), p)
		if err != nil {
			t.Fatal(err)
		}
		ev.Server = append(ev.Server, e)
	}
}

func status(f func(*inventory.Machine)) step {
	return func(_ *testing.T, ev *Evidence) { f(ev.Machine) }
}

func since(seconds int) step {
	return status(func(m *inventory.Machine) { m.Status.PhaseSince, m.Status.Beat = before(seconds), before(seconds) })
}

// saw adds a sighting; set fills in the rest.
func saw(seconds int, kind inventory.SightingKind, detail string, count int64, set ...func(*inventory.SightingValues)) step {
	return func(_ *testing.T, ev *Evidence) {
		s := inventory.Sighting{MAC: "52:54:00:00:00:01", Kind: kind, Detail: detail, Count: count, First: before(3000), Last: before(seconds),
			Values: inventory.SightingValues{Network: "rack", Class: "PXEClient:Arch:00007"}}
		for _, f := range set {
			f(&s.Values)
		}
		ev.Sightings = append(ev.Sightings, s)
	}
}

// row is a streak of n that began some seconds ago.
func row(n int64, seconds int) func(*inventory.SightingValues) {
	return func(v *inventory.SightingValues) { v.Streak, v.SameBlock, v.StreakSince = n, n, before(seconds) }
}

func address(ip string) func(*inventory.SightingValues) {
	return func(v *inventory.SightingValues) { v.IP = ip }
}

func stopped(protocol string, block, bytes, total int64) func(*inventory.SightingValues) {
	return func(v *inventory.SightingValues) {
		v.Protocol, v.Block, v.Bytes, v.TotalBytes = protocol, block, bytes, total
	}
}

func noClass(v *inventory.SightingValues) { v.Class = "" }

// agent is a session that was heard some seconds ago.
func agent(seconds int, line string) step {
	return status(func(m *inventory.Machine) {
		m.Status.Agent = &inventory.AgentSession{Boot: "b1", Since: before(600), LastLog: line}
		m.Status.Beat = before(seconds)
	})
}

// onHost makes it a VM.
func onHost(host string) step {
	return status(func(m *inventory.Machine) { m.Kind, m.Spec.VM = inventory.KindVM, &inventory.VMSpec{Host: host} })
}

func progress(percent int64) step {
	return status(func(m *inventory.Machine) {
		m.Status.Progress = &inventory.Progress{Step: "write", Bytes: percent, TotalBytes: 100, BytesPerSec: 5e6, ETA: 70 * time.Second}
	})
}

// boot is the start of an attempt, file a transfer of it.
func boot(seconds, arch int) step {
	return event(seconds, inventory.BootStarted{Attempt: "a", Arch: arch, Client: "UEFI", File: "shimx64.efi"})
}

func whole(seconds int, name string) step {
	return func(t *testing.T, ev *Evidence) {
		event(seconds, inventory.BootFile{File: name, Protocol: "tftp", Outcome: inventory.FileDone})(t, ev)
		saw(seconds, inventory.SawFileDone, name, 1)(t, ev)
	}
}

func script(seconds int) step {
	return event(seconds, inventory.BootScript{Script: "ipxe", Answer: inventory.BootDisk, Why: "deployed"})
}

func failure(seconds int, f inventory.Failure) step {
	f.Since = before(seconds)
	return status(func(m *inventory.Machine) { m.Status.Error = &f })
}

var ip = netip.MustParseAddr

// TestFaults has one row or more for each rule: evidence → the first sentences.
func TestFaults(t *testing.T) {
	t.Parallel()
	deploying, discovered := inventory.Deploying, inventory.Discovered
	for name, c := range map[string]struct {
		ev   Evidence
		want []string
	}{
		"vm without a host": {given(t, deploying, inventory.PhaseBoot, onHost(inventory.AnyHost)),
			[]string{"nothing is wrong so far: a host is being chosen since 60 min"}},
		"vm whose image is sent": {given(t, deploying, inventory.PhaseBoot, onHost("kvm1"), status(func(m *inventory.Machine) {
			m.Status.Progress = &inventory.Progress{Step: "image", Bytes: 43, TotalBytes: 100}
		})), []string{"nothing is wrong so far: its image is on the way to host kvm1, 43 % of 100 B are there"}},
		"vm being made": {given(t, deploying, inventory.PhaseBoot, onHost("kvm1")), []string{"nothing is wrong so far: host kvm1 is making it since 60 min"}},
		"vm whose host is away": {given(t, deploying, inventory.PhaseBoot, onHost("vc1"), failure(3, inventory.Failure{Step: "create", Reason: "connection refused", Try: "ingot host check vc1"})),
			[]string{"create failed 3 s ago: connection refused; it is tried again"}},
		"vm being deleted": {given(t, inventory.Releasing, inventory.PhaseWipe, onHost("kvm1")),
			[]string{"nothing is wrong so far: host kvm1 is deleting it since 60 min"}},
		"identity conflict": {given(t, inventory.Ready, "", status(func(m *inventory.Machine) { m.Status.Conflict = "UUID a against b" })),
			[]string{"identity conflict, so nothing is done: UUID a against b"}},
		"hold": {given(t, inventory.Deployed, "", status(func(m *inventory.Machine) { m.Status.Hold = "restored" })),
			[]string{"on hold, so nothing is written: restored"}},
		"second claim, though ready": {given(t, inventory.Ready, "", agent(1, ""), event(5, inventory.AgentAlarm{Address: ip("192.0.2.9"), Reason: "another agent speaks for web"})),
			[]string{"alarm 5 s ago: another agent speaks for web (from 192.0.2.9)"}},
		"panic": {given(t, deploying, inventory.PhaseWrite, boot(300, 7), event(200, inventory.AgentUp{}), agent(40, "x"), event(40, inventory.AgentPanic{Line: "Kernel panic - not syncing: VFS"}), event(39, inventory.AgentPanic{Line: "end Kernel panic"})),
			[]string{"the agent's environment died 40 s ago: Kernel panic - not syncing: VFS"}},
		"write failed for good": {given(t, deploying, inventory.PhaseWrite, failure(30, inventory.Failure{Step: "write", Reason: "disk is gone", Permanent: true}), agent(1, "")),
			[]string{"write failed 30 s ago: disk is gone; it waits for a new order"}},
		"write failed, tried again": {given(t, deploying, inventory.PhaseWrite, failure(3, inventory.Failure{Step: "write", Reason: "server went away"}), agent(1, "")),
			[]string{"write failed 3 s ago: server went away; it is tried again"}},
		"older order": {given(t, deploying, inventory.PhaseWrite, agent(1, ""), event(100, inventory.Ordered{Generation: 3}), event(9, inventory.OrderRefused{Generation: 2, Reason: "report of an order that no longer stands"})),
			[]string{"nothing is wrong: its agent is up and was heard 1 s ago, in phase write", "order 2 was refused 9 s ago: report of an order that no longer stands (order 3 stands)"}},
		"boot overdue, never seen": {given(t, deploying, inventory.PhaseBoot, failure(60, inventory.Failure{Step: "boot", Reason: "the machine has not booted the agent"})),
			[]string{"boot failed 60 s ago: the machine has not booted the agent; the order stands", "it is to boot the agent since 60 min, and nothing was seen of it on the wire since"}},
		"boot overdue, DHCP": {given(t, deploying, inventory.PhaseBoot, failure(60, inventory.Failure{Step: "boot", Reason: "late"}), boot(90, 7), saw(20, inventory.SawDiscover, "", 4, row(4, 80)), saw(20, inventory.SawOffer, "", 4, address("10.0.0.5"))),
			[]string{"boot failed 60 s ago: late; the order stands", "DHCP DISCOVER seen four times, offered, never requested (last 20 s ago)"}},
		"deployed, network first": {given(t, inventory.Deployed, "", script(100), script(50), script(4)),
			[]string{"it is deployed and boots from the network before its disk: it asked three times since and was sent to its disk"}},
		"never seen, planned": {given(t, inventory.Planned, ""),
			[]string{"it was never seen on the wire: no DHCP request of its MACs came"}},
		"never seen": {given(t, discovered, ""),
			[]string{"nothing was seen of it on the wire: no DHCP request of its MACs came"}},
		"no beat, not yet given up": {given(t, deploying, inventory.PhaseWrite, agent(90, "write: 43 %"), progress(43)),
			[]string{"agent has had no beat for 90 s in phase write, at 43 %; its last log line: write: 43 %"}},
		"no beat, given up": {given(t, deploying, inventory.PhaseBoot, since(70), boot(600, 7), event(500, inventory.AgentUp{}), event(70, inventory.AgentLost{Phase: "write", Percent: 43, LastLog: "chunk 9", Beat: before(90)})),
			[]string{"agent has had no beat for 90 s in phase write, at 43 %; its last log line: chunk 9"}},
		"no beat while discovered": {given(t, discovered, "", agent(30, "")),
			[]string{"agent has had no beat for 30 s while discovered"}},
		"first boot asks the network": {given(t, deploying, inventory.PhaseFirstBoot, since(300), script(200), script(100)),
			[]string{"the image is written, and since then it asked the network twice and was sent to its disk: the disk does not boot"}},
		"no phone-home, nothing seen": {given(t, deploying, inventory.PhaseFirstBoot, failure(5, inventory.Failure{Step: "first-boot", Reason: "no phone-home"})),
			[]string{"first-boot failed 5 s ago: no phone-home; the order stands", "the image is written; since then nothing was seen of it on the wire, and no phone-home came"}},
		"no phone-home, sent to its disk": {given(t, deploying, inventory.PhaseFirstBoot, script(1000), failure(5, inventory.Failure{Step: "first-boot", Reason: "no phone-home"})),
			[]string{"first-boot failed 5 s ago: no phone-home; the order stands", "the image is written and it was sent to its disk; no phone-home came"}},
		"no phone-home, on the wire": {given(t, deploying, inventory.PhaseFirstBoot, saw(40, inventory.SawAck, "", 1), failure(5, inventory.Failure{Step: "first-boot", Reason: "no phone-home"})),
			[]string{"first-boot failed 5 s ago: no phone-home; the order stands", "the image is written, and it was seen on the wire 40 s ago (dhcp-ack); no phone-home came"}},
		"loader refused": {given(t, discovered, "", boot(90, 7), whole(88, "snponly.efi"), event(20, inventory.BootRejected{File: "snponly.efi", Next: inventory.ChainShim, Arch: 7}), boot(20, 7)),
			[]string{"firmware fetched snponly.efi and did not run it (20 s ago)", "that is what Secure Boot does to an unsigned loader; the next boot gets the signed one"}},
		"shim refused": {given(t, discovered, "", boot(90, 7), whole(88, "shimx64.efi"), event(20, inventory.BootRejected{File: "shimx64.efi", Next: inventory.ChainSNP, Arch: 7}), boot(20, 7)),
			[]string{"firmware fetched shimx64.efi and did not run it (20 s ago)"}},
		"HTTP boot under Secure Boot": {given(t, discovered, "", boot(90, 16), whole(88, "snponly.efi"), event(20, inventory.BootRejected{File: "snponly.efi", Next: inventory.ChainIPXE, Arch: 16}), boot(20, 7)),
			[]string{"firmware fetched snponly.efi and did not run it (20 s ago)", "HTTP boot with Secure Boot is not supported here: iPXE is unsigned, and the signed loaders don't run over HTTP boot"}},
		"agent refused": {given(t, discovered, "", boot(90, 7), saw(4, inventory.SawAgentRefused, "hello: no MAC address", 2)),
			[]string{"its agent is up and was refused twice (last 4 s ago): hello: no MAC address"}},
		"kernel dark": {given(t, discovered, "", boot(200, 0), whole(150, "vmlinuz"), whole(140, "initrd.img")),
			[]string{"kernel and first stage were fetched 2 min ago, and no agent was heard since"}},
		"kernel up, server not reached": {given(t, discovered, "", boot(200, 0), whole(110, "vmlinuz"), whole(100, "initrd.img"), saw(90, inventory.SawAck, "", 1, address("10.0.0.9"))),
			[]string{"kernel and first stage were fetched 100 s ago, the agent was given 10.0.0.9, and was not heard since"}},
		"second stage": {given(t, discovered, "", boot(200, 0), whole(110, "vmlinuz"), whole(100, "initrd.img"), whole(80, "modules.img")),
			[]string{"the agent began to fetch its drivers (second stage) 80 s ago and was not heard since"}},
		"TFTP stops at one block": {given(t, discovered, "", boot(60, 7), saw(4, inventory.SawFileStopped, "snponly.efi", 9, row(3, 40), stopped("tftp", 31, 45508, 200000))),
			[]string{"TFTP of snponly.efi stopped at block 31 three times"}},
		"TFTP stops here and there": {given(t, discovered, "", boot(60, 7), saw(4, inventory.SawFileStopped, "snponly.efi", 9, row(3, 40), stopped("tftp", 31, 45508, 200000), func(v *inventory.SightingValues) { v.SameBlock = 1 })),
			[]string{"TFTP of snponly.efi stopped three times, the last time at block 31"}},
		"HTTP cut": {given(t, discovered, "", boot(60, 16), saw(4, inventory.SawFileStopped, "vmlinuz", 1, row(1, 4), stopped("http", 0, 1<<20, 8<<20))),
			[]string{"HTTP of vmlinuz was cut once", "the last time was 4 s ago, after 1.05 MB of 8.39 MB"}},
		"server too busy": {given(t, discovered, "", boot(60, 7), saw(4, inventory.SawFileStopped, "snponly.efi", 1, row(1, 4), stopped("tftp", 0, 0, 0), func(v *inventory.SightingValues) { v.Error = "1024 transfers run already" })),
			[]string{"TFTP of snponly.efi failed once (last 4 s ago): 1024 transfers run already"}},
		"no such file": {given(t, discovered, "", boot(60, 7), saw(4, inventory.SawFileNotFound, "pxelinux.0", 2, stopped("tftp", 0, 0, 0)), serverEvent(30, inventory.OtherDHCP{Network: "rack", Server: ip("192.0.2.1")})),
			[]string{"it asked twice for pxelinux.0 by TFTP, which is not served (last 4 s ago)", "DHCP server 192.0.2.1 answers as well (30 s ago): the file name may be its"}},
		"GRUB stuck, its optional files aside": {given(t, discovered, "", boot(60, 7), whole(50, "shimx64.efi"), whole(45, "grubx64.efi"), saw(40, inventory.SawFileNotFound, "grub/x86_64-efi/fs.lst", 1)),
			[]string{"grubx64.efi was fetched by TFTP 45 s ago, and nothing was asked for after it", "GRUB should fetch its configuration next"}},
		"GRUB asks the other server": {given(t, discovered, "", boot(60, 7), whole(50, "shimx64.efi"), whole(45, "grubx64.efi"), serverEvent(100, inventory.OtherDHCP{Network: "rack", Server: ip("192.0.2.1")})),
			[]string{"grubx64.efi was fetched by TFTP 45 s ago, and nothing was asked for after it", "GRUB should fetch its configuration next", "GRUB asks DHCP server 192.0.2.1 for it, since that server gave the address"}},
		"loader and nothing more": {given(t, discovered, "", boot(60, 7), whole(50, "snponly.efi")),
			[]string{"snponly.efi was fetched by TFTP 50 s ago, and nothing was asked for after it", "iPXE should ask DHCP again next"}},
		"loader, then DHCP trouble": {given(t, discovered, "", boot(60, 7), whole(50, "snponly.efi"), saw(20, inventory.SawDiscover, "", 5, row(3, 45)), saw(20, inventory.SawOffer, "", 5, address("10.0.0.5"))),
			[]string{"DHCP DISCOVER seen three times, offered, never requested (last 20 s ago)"}},
		"nothing offered": {given(t, discovered, "", event(9, inventory.BootStarted{Arch: 6, Client: "32-bit UEFI", Nothing: "no boot files for 32-bit UEFI clients"})),
			[]string{"it asked to boot 9 s ago as 32-bit UEFI (architecture 6) and was offered nothing: no boot files for 32-bit UEFI clients"}},
		"nothing offered, no machine": {given(t, inventory.Planned, "", status(func(m *inventory.Machine) { m.ID = "" }), saw(9, inventory.SawDiscover, "", 2, row(2, 12)),
			saw(9, inventory.SawOffer, "", 2, func(v *inventory.SightingValues) { v.Error = "no boot files for 32-bit UEFI clients" })),
			[]string{"it asked to boot twice (9 s ago) and was offered nothing: no boot files for 32-bit UEFI clients"}},
		"two servers": {given(t, discovered, "", boot(60, 7), saw(3, inventory.SawDiscover, "", 40, row(14, 60)), saw(3, inventory.SawOffer, "", 40, address("10.0.0.5")), saw(900, inventory.SawRequest, "", 9), serverEvent(12, inventory.OtherDHCP{Network: "rack", Server: ip("192.0.2.1")})),
			[]string{"DHCP DISCOVER seen 14 times, offered, never requested: 192.0.2.1 answers as well (last 12 s ago)"}},
		"two servers, paused": {given(t, discovered, "", boot(60, 7), saw(3, inventory.SawDiscover, "", 4, row(4, 60)), saw(3, inventory.SawIgnored, "paused: DHCP server 192.0.2.1 answers on this network", 4), serverEvent(12, inventory.OtherDHCP{Network: "rack", Server: ip("192.0.2.1"), Paused: true})),
			[]string{"DHCP DISCOVER seen four times, not answered: 192.0.2.1 answers as well (last 12 s ago)", "new leases are paused because of it"}},
		"chose the other": {given(t, discovered, "", boot(60, 7), saw(3, inventory.SawDiscover, "", 2, row(2, 30)), saw(3, inventory.SawOffer, "", 2, address("10.0.0.5")), saw(2, inventory.SawRequest, "", 2), saw(2, inventory.SawChoseOther, "192.0.2.1", 2)),
			[]string{"DHCP DISCOVER seen twice, offered, and it took the address of 192.0.2.1 instead (last 2 s ago)"}},
		"refused address": {given(t, discovered, "", boot(60, 7), saw(30, inventory.SawDiscover, "", 1, row(1, 30)), saw(29, inventory.SawOffer, "", 1, address("10.0.0.5")), saw(28, inventory.SawRequest, "", 1), saw(28, inventory.SawNak, "10.9.9.9 is outside 10.0.0.0/24", 1)),
			[]string{"it asked for an address and was refused it (DHCPNAK, last 28 s ago): 10.9.9.9 is outside 10.0.0.0/24"}},
		"pool exhausted": {given(t, discovered, "", boot(60, 7), saw(3, inventory.SawDiscover, "", 3, row(3, 20)), saw(3, inventory.SawExhausted, "no free address: all 1 are taken", 3), serverEvent(30, inventory.PoolExhausted{Network: "rack", Size: 1})),
			[]string{"DHCP DISCOVER seen three times, not answered: network rack has no free address: all 1 are taken (last 3 s ago)"}},
		"declined": {given(t, discovered, "", boot(60, 7), saw(20, inventory.SawDiscover, "", 1, row(1, 20)), saw(20, inventory.SawOffer, "", 1, address("10.0.0.5")), saw(18, inventory.SawRequest, "", 1), saw(18, inventory.SawAck, "", 1, address("10.0.0.5")), saw(17, inventory.SawDecline, "", 1, address("10.0.0.5"))),
			[]string{"it declined the address that it was given, 10.0.0.5 (once, last 17 s ago): somebody else uses it"}},
		"proxy, and nobody gives addresses": {given(t, discovered, "", boot(60, 7), saw(20, inventory.SawDiscover, "", 5, row(5, 60)), saw(20, inventory.SawOffer, "", 5)),
			[]string{"DHCP DISCOVER seen five times (last 20 s ago): Ingot is proxy on network rack and gives no addresses, and no other DHCP server was heard there"}},
		"ignored": {given(t, discovered, "", saw(20, inventory.SawDiscover, "", 5, row(5, 60)), saw(20, inventory.SawIgnored, "DHCP is off on network rack", 5)),
			[]string{"DHCP DISCOVER seen five times, not answered: DHCP is off on network rack (last 20 s ago)"}},
		"address and no file": {given(t, discovered, "", boot(60, 7), saw(50, inventory.SawDiscover, "", 1, row(1, 50)), saw(50, inventory.SawOffer, "", 1, address("10.0.0.5")), saw(49, inventory.SawRequest, "", 1), saw(49, inventory.SawAck, "", 1, address("10.0.0.5"))),
			[]string{"it was given 10.0.0.5 49 s ago, and asked for no boot file since"}},
		"runs its disk": {given(t, deploying, inventory.PhaseBoot, since(300), boot(90000, 7), event(80000, inventory.AgentUp{}), saw(50, inventory.SawDiscover, "", 1, row(1, 50), noClass), saw(49, inventory.SawAck, "", 1, address("10.0.0.5"), noClass)),
			[]string{"it was given 10.0.0.5 49 s ago and did not ask to boot from the network: it runs what is on its disk"}},
	} {
		a := Explain(c.ev)
		got := a.Sentences[:min(len(c.want), len(a.Sentences))]
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s%s", name, diff, strings.Join(a.Sentences, "\n"))
		}
		if !a.Known {
			t.Errorf("%s is unknown", name)
		}
	}
}

// TestHealthy: no false alarm for a machine that does as it should.
func TestHealthy(t *testing.T) {
	t.Parallel()
	deploying, discovered := inventory.Deploying, inventory.Discovered
	up := event(100, inventory.AgentUp{Boot: "b1"})
	facts := status(func(m *inventory.Machine) { m.Status.FactsVersion = 1 })
	kernel := []step{boot(60, 7), whole(50, "shimx64.efi"), whole(48, "grubx64.efi"), saw(47, inventory.SawFileNotFound, "grub/x86_64-efi/command.lst", 1), whole(40, "vmlinuz"), whole(30, "initrd.img")}
	for name, ev := range map[string]Evidence{
		"DISCOVER":                     given(t, discovered, "", saw(2, inventory.SawDiscover, "", 9, row(1, 2)), saw(2, inventory.SawOffer, "", 9, address("10.0.0.5"))),
		"DISCOVER, proxy":              given(t, discovered, "", saw(2, inventory.SawDiscover, "", 9, row(1, 2)), saw(2, inventory.SawOffer, "", 9)),
		"DISCOVER beside a server":     given(t, discovered, "", saw(2, inventory.SawDiscover, "", 9, row(1, 2)), saw(2, inventory.SawOffer, "", 9, address("10.0.0.5")), serverEvent(100, inventory.OtherDHCP{Server: ip("192.0.2.1")})),
		"address":                      given(t, discovered, "", boot(4, 7), saw(3, inventory.SawDiscover, "", 1, row(1, 3)), saw(2, inventory.SawAck, "", 1, address("10.0.0.5"))),
		"loader":                       given(t, discovered, "", boot(9, 7), whole(4, "shimx64.efi")),
		"loader after an old refusal":  given(t, discovered, "", event(90, inventory.BootRejected{File: "snponly.efi", Next: inventory.ChainShim}), boot(90, 7), whole(4, "shimx64.efi")),
		"a cut that was made good":     given(t, discovered, "", boot(60, 7), saw(30, inventory.SawFileStopped, "shimx64.efi", 1, row(1, 30), stopped("tftp", 4, 9, 99)), whole(4, "shimx64.efi")),
		"kernel":                       given(t, discovered, "", kernel...),
		"agent up":                     given(t, discovered, "", append(kernel, event(10, inventory.AgentUp{}), agent(1, "facts"))...),
		"not approved":                 given(t, discovered, "", agent(1, ""), facts),
		"inspecting":                   given(t, inventory.Inspecting, inventory.PhaseInspect, agent(1, "")),
		"ready":                        given(t, inventory.Ready, ""),
		"ready, agent gone":            given(t, inventory.Ready, "", agent(4000, "")),
		"ordered, off":                 given(t, deploying, inventory.PhaseBoot, since(4), boot(90000, 7), event(80000, inventory.AgentUp{}), whole(89999, "vmlinuz"), saw(80000, inventory.SawAck, "", 3)),
		"ordered, boots":               given(t, deploying, inventory.PhaseBoot, append([]step{since(70), up}, kernel...)...),
		"prepare":                      given(t, deploying, inventory.PhasePrepare, agent(2, ""), up),
		"writing":                      given(t, deploying, inventory.PhaseWrite, agent(2, ""), up, progress(12)),
		"writing, no progress yet":     given(t, deploying, inventory.PhaseWrite, agent(2, ""), up),
		"rebooting":                    given(t, deploying, inventory.PhaseReboot, agent(2, ""), up),
		"left to reboot":               given(t, deploying, inventory.PhaseReboot, agent(30, ""), up),
		"first boot":                   given(t, deploying, inventory.PhaseFirstBoot, since(60)),
		"first boot by the network":    given(t, deploying, inventory.PhaseFirstBoot, since(60), boot(30, 7), script(29)),
		"deployed":                     given(t, inventory.Deployed, ""),
		"deployed, booted once":        given(t, inventory.Deployed, "", script(60)),
		"deployed, network by policy":  given(t, inventory.Deployed, "", status(func(m *inventory.Machine) { m.Spec.NetworkFirst = true }), script(60), script(50), script(40)),
		"deployed, a panic long gone":  given(t, inventory.Deployed, "", event(60, inventory.AgentPanic{Line: "Oops: 1"})),
		"wiping":                       given(t, inventory.Releasing, inventory.PhaseWipe, agent(2, "")),
		"to be wiped, off":             given(t, inventory.Releasing, inventory.PhaseWipe, since(5)),
		"rescue":                       given(t, inventory.Rescue, "", agent(2, "")),
		"rescue, off":                  given(t, inventory.Rescue, inventory.PhaseBoot, since(5)),
		"retired":                      given(t, inventory.Retired, ""),
		"lost, and ordered again":      given(t, deploying, inventory.PhaseBoot, since(5), event(90000, inventory.AgentUp{}), event(80000, inventory.AgentLost{Phase: "write"}), event(5, inventory.Ordered{Generation: 3})),
		"panicked, and boots again":    given(t, deploying, inventory.PhaseBoot, append([]step{up, event(90, inventory.AgentPanic{Line: "Oops"}), since(80)}, kernel...)...),
		"lost, and boots again":        given(t, deploying, inventory.PhaseBoot, append([]step{up, event(90, inventory.AgentLost{Phase: "write"}), since(90)}, kernel...)...),
		"an alarm that is past":        given(t, inventory.Ready, "", event(700, inventory.AgentAlarm{Reason: "x"})),
		"an old boot of an agent's OS": given(t, inventory.Inspecting, inventory.PhaseInspect, agent(3, ""), boot(500, 7), whole(450, "vmlinuz"), whole(440, "initrd.img"), event(400, inventory.AgentUp{})),
	} {
		if a := Explain(ev); !a.Known || !strings.HasPrefix(a.Sentences[0], "nothing is wrong") {
			t.Errorf("%s: known %v\n%s", name, a.Known, strings.Join(a.Sentences, "\n"))
		}
	}
}

// TestUnknown: what fits no rule is "unknown" with the last evidence.
func TestUnknown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ev   Evidence
		want []string
	}{
		"a size probe and no more": {given(t, inventory.Discovered, "", boot(60, 7), saw(50, inventory.SawDiscover, "", 1, row(1, 50)), saw(49, inventory.SawRequest, "", 1), saw(49, inventory.SawAck, "", 1), saw(48, inventory.SawFileProbe, "shimx64.efi", 2)),
			[]string{"last event, 60 s ago: network boot by UEFI (architecture 7): offered shimx64.efi", "last seen on the wire, 48 s ago: file-size-probe shimx64.efi (twice)"}},
		"INFORM alone": {given(t, inventory.Planned, "", saw(30, inventory.SawInform, "", 1)),
			[]string{"last seen on the wire, 30 s ago: dhcp-inform (once)"}},
		"REQUEST without an answer": {given(t, inventory.Discovered, "", saw(50, inventory.SawDiscover, "", 1, row(1, 50)), saw(50, inventory.SawOffer, "", 1, address("10.0.0.5")), saw(30, inventory.SawRequest, "", 4)),
			[]string{"last seen on the wire, 30 s ago: dhcp-request (four times)"}},
	} {
		a := Explain(c.ev)
		want := append([]string{"unknown: the evidence fits no fault that Ingot knows"}, c.want...)
		if diff := cmp.Diff(want, a.Sentences); diff != "" || a.Known {
			t.Errorf("%s: known %v (-want +got)\n%s", name, a.Known, diff)
		}
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{1: "once", 2: "twice", 3: "three times", 12: "twelve times", 13: "13 times"} {
		if got := times(n); got != want {
			t.Errorf("times(%d) = %q, want %q", n, got, want)
		}
	}
}
