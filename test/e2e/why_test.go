package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
	"golang.org/x/sync/errgroup"

	"ingot/inventory"
	installed "ingot/inventory/guest"
	"ingot/inventory/secret"
	"ingot/inventory/seed"
	"ingot/pxe/agentapi"
	"ingot/pxe/lab"
)

// fault is one thing that goes wrong with a machine, and what ingot why says of it: a
// regular expression for each of the lines.
type fault struct {
	inject func(*played) error
	want   []string
}

// patience is how long a fault may take to be told: some need a minute of silence.
const patience = 100 * time.Second

// check injects the faults, a machine each, and then asks ingot why about them.
func (b *bench) check(faults map[string]fault) {
	t := b.r.t
	t.Helper()
	machines := map[string]*played{}
	var playing errgroup.Group
	playing.SetLimit(6)
	for name, f := range faults {
		m := b.machine()
		machines[name] = m
		playing.Go(func() error {
			if err := f.inject(m); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
	if err := playing.Wait(); err != nil {
		t.Fatal(err)
	}
	for name, f := range faults {
		t.Run(name, func(t *testing.T) { b.says(t, machines[name].name(), f.want) })
	}
}

// says waits until ingot why answers with all the lines.
func (b *bench) says(t *testing.T, machine string, want []string) {
	t.Helper()
	tick, end := time.NewTicker(time.Second), time.NewTimer(patience)
	defer tick.Stop()
	defer end.Stop()
	for {
		out, err := b.r.tryIngot("why", machine)
		if err == nil && matches(out, want) {
			t.Logf("ingot why %s:\n%s", machine, out)
			return
		}
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatalf("ingot why %s: %v\n%s\nwant lines like\n%s", machine, err, out, strings.Join(want, "\n"))
		}
	}
}

func matches(out string, want []string) bool {
	for _, w := range want {
		if !regexp.MustCompile(`(?m)^` + w + `$`).MatchString(out) {
			return false
		}
	}
	return true
}

// TestWhy plays one machine for each fault against one server, and reads the answer on
// the command line.
func TestWhy(t *testing.T) {
	need(t)
	t.Parallel()
	r := newRack(t, lab.Spec{}, authoritative...)
	r.env = []string{"INGOT_LIMITS_SILENT=4s", "INGOT_LIMITS_FIRST_BOOT=3s"}
	r.start()
	r.newBench().check(map[string]fault{
		"offered, never requested": {func(m *played) error {
			d, err := m.dhcp()
			if err != nil {
				return err
			}
			return d.discover(5, pxeUEFI)
		}, []string{`DHCP DISCOVER seen five times, offered, never requested \(last \d+ s ago\)`}},
		"address and no boot file": {func(m *played) error { _, err := m.bind(pxeUEFI); return err },
			[]string{`it was given 10\.66\.0\.\d+ \d+ s ago, and asked for no boot file since`}},
		"declined": {declined, []string{`it declined the address that it was given, 10\.66\.0\.\d+ \(once, last .* ago\): somebody else uses it`}},
		"NAK":      {nak, []string{`it asked for an address and was refused it \(DHCPNAK, last .*\): 192\.0\.2\.77 is outside 10\.66\.0\.0/24`}},
		"32-bit UEFI": {func(m *played) error {
			d, err := m.dhcp()
			if err != nil {
				return err
			}
			return d.discover(3, pxe("PXEClient", iana.EFI_IA32))
		}, []string{`it asked to boot three times, architecture 6 \(.*\) and was offered nothing: no boot files for 32-bit UEFI clients`}},
		"TFTP stops": {func(m *played) error {
			return errors.Join(m.offer(pxeUEFI), m.tftp("snponly.efi", 31), m.tftp("snponly.efi", 31), m.tftp("snponly.efi", 31))
		}, []string{`TFTP of snponly\.efi stopped at block 31 three times`, `the last time was \d+ s ago, after 45\.5 kB of \d+ kB`}},
		"TFTP name unknown": {func(m *played) error {
			err := errors.Join(m.offer(pxeBIOS), m.tftp("pxelinux.0", never))
			if errors.Is(err, errTFTP) {
				return nil
			}
			return fmt.Errorf("want an error packet: %w", err)
		}, []string{`it asked once for pxelinux\.0 by TFTP, which is not served \(last .*\)`}},
		"HTTP cut": {func(m *played) error { return errors.Join(m.offer(pxeBIOS), m.http(m.boot("vmlinuz"), 1<<20)) },
			[]string{`HTTP of vmlinuz was cut once`, `the last time was .*, after [\d.]+ MB of [\d.]+ MB`}},
		"no follow-up": {func(m *played) error { return errors.Join(m.offer(pxeBIOS), m.tftp("undionly.kpxe", never)) },
			[]string{`undionly\.kpxe was fetched by TFTP \d+ s ago, and nothing was asked for after it`, `iPXE should ask DHCP again next`}},
		"loader refused": {func(m *played) error {
			return errors.Join(m.offer(pxeUEFI), m.tftp("shimx64.efi", never), m.refuse(pxeUEFI))
		}, []string{`firmware fetched shimx64\.efi and did not run it \(.*\)`, `.*Microsoft UEFI CA.* the next boot gets the snponly chain`, `try: switch it off and on, so that it asks again`}},
		"HTTP boot under Secure Boot": {func(m *played) error {
			return errors.Join(m.offer(pxe("HTTPClient", iana.EFI_X86_64_HTTP)), m.http(m.boot("snponly.efi"), never), m.refuse(pxe("HTTPClient", iana.EFI_X86_64_HTTP)))
		}, []string{`firmware fetched snponly\.efi and did not run it \(.*\)`, `HTTP boot with Secure Boot is not supported here: .*`}},
		"kernel and no agent": {func(m *played) error {
			return errors.Join(m.offer(pxeBIOS), m.http(m.boot("vmlinuz"), never), m.http(m.boot("initrd.img"), never))
		}, []string{`kernel and first stage were fetched \d+ s ago, and no agent was heard since`}},
		"agent refused": {func(m *played) error {
			if err := m.hello(m.identity(), "short"); err == nil {
				return errors.New("a boot name of five characters was taken")
			}
			return nil
		}, []string{`its agent is up and was refused once \(last .*\): hello: boot name of 5 characters .*`}},
		"agent silent":       {silent, []string{`agent has had no beat for \d+ s in phase write, at 43 %; its last log line: write: chunk 9 of 21`}},
		"write fails":        {writeFails, []string{`write failed .*: no disk fits serial=X; it waits for a new order`}},
		"second claim":       {secondClaim, []string{`alarm .*: another agent speaks for metal-[0-9a-f]+ .* \(from 10\.66\.0\.\d+\)`}},
		"identity conflict":  {conflicting, []string{`identity conflict, so nothing is done: MAC belongs to machine metal-[0-9a-f]+, but UUID .* against .*`}},
		"older order":        {olderOrder, []string{`order 7 was refused .*: report of an order that no longer stands \(no order stands\)`}},
		"kernel panic":       {panicked, []string{`the agent's environment died .*: Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009`}},
		"no phone-home":      {func(m *played) error { _, err := m.written(); return err }, []string{`first-boot failed .*: the installed system has not phoned home; the order stands`, `the image is written; since then nothing was seen of it on the wire, and no phone-home came`}},
		"disk does not boot": {diskDark, []string{`the image is written, and since then it asked the network twice and was sent to its disk: the disk does not boot`}},
		"deployed, boots the network first": {networkFirst,
			[]string{`it is deployed and boots from the network before its disk: it asked three times since and was sent to its disk`}},
		"a fault that is not known": {func(m *played) error {
			if _, err := m.bind(pxeUEFI); err != nil {
				return err
			}
			return m.tftpProbe("shimx64.efi")
		}, []string{`unknown: the evidence fits no fault that Ingot knows`, `last seen on the wire, .*: file-size-probe shimx64\.efi \(once\)`}},
	})
}

// TestWhyPool: a pool of one address, which somebody has; a boot that never came; a
// network where nothing is offered.
func TestWhyPool(t *testing.T) {
	need(t)
	t.Parallel()
	r := newRack(t, lab.Spec{}, authoritative...)
	r.env = []string{"INGOT_LIMITS_SILENT=4s", "INGOT_LIMITS_BOOT=3s"}
	r.configure("networks:\n- name: rack\n  subnet: 10.66.0.0/24\n  dhcp: authoritative\n  pools: [10.66.0.200-10.66.0.200]\n")
	r.start()
	b := r.newBench()
	if _, err := b.machine().bind(pxeUEFI); err != nil {
		t.Fatal(err)
	}
	b.check(map[string]fault{
		"exhausted": {func(m *played) error {
			d, err := m.dhcp()
			if err != nil {
				return err
			}
			return d.discover(3, pxeUEFI)
		}, []string{`DHCP DISCOVER seen three times, not answered: network rack has no free address: all 1 are taken \(last .*\)`}},
		"never booted": {func(m *played) error {
			_, err := m.ordered()
			return err
		}, []string{`boot failed .*: the machine has not booted the agent; the order stands`, `agent has had no beat for \d+ s in phase write, at 0 %`}},
	})
}

// TestWhyTwoServers: dnsmasq gives addresses on the network that Ingot leads.
func TestWhyTwoServers(t *testing.T) {
	need(t)
	t.Parallel()
	r := newRack(t, lab.Spec{}, authoritative...)
	r.configure("networks:\n- name: rack\n  subnet: 10.66.0.0/24\n  dhcp: authoritative\n  sole_authority: true\n  pools: [10.66.0.128-10.66.0.199]\n")
	r.otherHost("10.66.0.254/24")
	r.start()
	b := r.newBench()
	b.rival()
	b.check(map[string]fault{
		"never requested": {func(m *played) error {
			d, err := m.dhcp()
			if err != nil {
				return err
			}
			return d.discover(14, pxeUEFI)
		}, []string{`DHCP DISCOVER seen 14 times, offered, never requested: 10\.66\.0\.254 answers as well \(last .*\)`}},
		"chose the other": {func(m *played) error {
			d, err := m.dhcp()
			if err != nil {
				return err
			}
			if _, err := d.offered(pxeUEFI); err != nil {
				return err
			}
			p, err := d.packet(dhcpv4.MessageTypeRequest, pxeUEFI, dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.IPv4(10, 66, 0, 60))),
				dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 66, 0, 254))))
			if err != nil {
				return err
			}
			return d.send(p)
		}, []string{`DHCP DISCOVER seen (once|twice), offered, and it took the address of 10\.66\.0\.254 instead \(last .*\)`}},
	})
}

// TestWhyPaused: the same without the right to be the only one: new leases wait.
func TestWhyPaused(t *testing.T) {
	need(t)
	t.Parallel()
	r := newRack(t, lab.Spec{}, authoritative...)
	r.otherHost("10.66.0.254/24")
	r.start()
	b := r.newBench()
	b.rival()
	b.check(map[string]fault{"not answered": {func(m *played) error {
		d, err := m.dhcp()
		if err != nil {
			return err
		}
		return d.discover(4, pxeUEFI)
	}, []string{`DHCP DISCOVER seen four times, not answered: 10\.66\.0\.254 answers as well \(last .*\)`, `new leases are paused because of it`}}})
}

// TestWhyProxy: Ingot gives boot files, and nobody gives addresses.
func TestWhyProxy(t *testing.T) {
	need(t)
	t.Parallel()
	r := newRack(t, lab.Spec{}, "--dhcp", "proxy")
	r.start()
	b := r.newBench()
	discover := func(mods ...dhcpv4.Modifier) func(m *played) error {
		return func(m *played) error {
			d, err := m.dhcp()
			if err != nil {
				return err
			}
			return d.discover(4, mods...)
		}
	}
	b.check(map[string]fault{
		"no addresses": {discover(pxeUEFI),
			[]string{`DHCP DISCOVER seen four times \(last .*\): Ingot is proxy on network rack and gives no addresses, and no other DHCP server was heard there`}},
		"32-bit ARM": {discover(pxe("PXEClient", iana.EFI_ARM32)),
			[]string{`DHCP DISCOVER seen four times, not answered, architecture 10: no boot files for 32-bit ARM UEFI clients \(last .*\)`}},
	})
}

// rival waits until the server has noticed the other one.
func (b *bench) rival() {
	b.r.t.Helper()
	b.r.eventually("the other server is noticed", 20*time.Second, func(context.Context) error {
		for _, e := range b.r.events("") {
			if e.Kind == inventory.EventOtherDHCP {
				return nil
			}
		}
		return errNotYet("no event")
	})
}

// offer is a DISCOVER that Ingot answers.
func (m *played) offer(mods ...dhcpv4.Modifier) error {
	d, err := m.dhcp()
	if err != nil {
		return err
	}
	_, err = d.offered(mods...)
	return err
}

// bind is the exchange of four packets.
func (m *played) bind(mods ...dhcpv4.Modifier) (*dhcpv4.DHCPv4, error) {
	d, err := m.dhcp()
	if err != nil {
		return nil, err
	}
	return d.bound(mods...)
}

// refuse asks DHCP again until the inventory has the loader down as refused: what firmware
// does that would not run it.
func (m *played) refuse(mods ...dhcpv4.Modifier) error {
	d, err := m.dhcp()
	if err != nil {
		return err
	}
	return m.poll(20*time.Second, func() error {
		if err := d.discover(1, mods...); err != nil {
			return err
		}
		out, err := m.b.r.tryIngot("why", string(m.mac))
		if err != nil || !strings.Contains(out, "did not run it") {
			return errNotYet(out)
		}
		return nil
	})
}

func declined(m *played) error {
	ack, err := m.bind(pxeUEFI)
	if err != nil {
		return err
	}
	d, err := m.dhcp()
	if err != nil {
		return err
	}
	p, err := d.packet(dhcpv4.MessageTypeDecline, dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(ack.YourIPAddr)),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(ack.ServerIdentifier())))
	if err != nil {
		return err
	}
	return d.send(p)
}

// nak asks for an address of another network, after an offer.
func nak(m *played) error {
	d, err := m.dhcp()
	if err != nil {
		return err
	}
	offer, err := d.offered(pxeUEFI)
	if err != nil {
		return err
	}
	p, err := d.packet(dhcpv4.MessageTypeRequest, pxeUEFI, dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.IPv4(192, 0, 2, 77))),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(offer.ServerIdentifier())))
	if err != nil {
		return err
	}
	reply, err := d.ask(p)
	if err == nil && reply.MessageType() != dhcpv4.MessageTypeNak {
		err = fmt.Errorf("answer is %s, want NAK", reply.MessageType())
	}
	return err
}

// silent takes an order, comes to 43 % and is never heard again.
func silent(m *played) error {
	o, err := m.ordered()
	if err != nil {
		return err
	}
	p := inventory.Progress{Step: "write", Bytes: 43, TotalBytes: 100}
	return errors.Join(m.agent.Beat(m.t.Context(), agentapi.Beat{Generation: o.Generation, Progress: &p}),
		m.agent.Log(m.t.Context(), []byte("write: chunk 8 of 21\nwrite: chunk 9 of 21\n")))
}

func writeFails(m *played) error {
	o, err := m.ordered()
	if err != nil {
		return err
	}
	return m.agent.Report(m.t.Context(), inventory.Report{Generation: o.Generation, Order: string(o.Kind),
		Failure: &inventory.Failure{Step: "write", Reason: "no disk fits serial=X", Permanent: true}})
}

// secondClaim says hello twice, as two boots.
func secondClaim(m *played) error {
	if err := m.hello(m.identity(), agentapi.NewBoot()); err != nil {
		return err
	}
	id := m.id
	if err := m.hello(m.identity(), agentapi.NewBoot()); err == nil {
		return errors.New("a second agent was let in")
	}
	m.id = id
	return nil
}

// conflicting shows the MAC of another UUID's machine.
func conflicting(m *played) error {
	if err := m.hello(m.identity(), agentapi.NewBoot()); err != nil {
		return err
	}
	id := m.identity()
	id.UUID = "5a6b7c8d-9999-4222-8333-0000000000ff"
	if err := m.hello(id, agentapi.NewBoot()); err == nil {
		return errors.New("a contradicting identity was let in")
	}
	return nil
}

func olderOrder(m *played) error {
	if err := m.ready(); err != nil {
		return err
	}
	return m.agent.Report(m.t.Context(), inventory.Report{Generation: 7, Order: string(agentapi.OrderDeploy), OK: true})
}

// panicked sends a kernel's last words by netconsole.
func panicked(m *played) error {
	if err := m.inspected(); err != nil {
		return err
	}
	conn, err := m.dial(m.t.Context(), "udp4", server+":6666", nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, line := range []string{"ingot-agent[1]: exit", "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009", "---[ end Kernel panic ]---"} {
		if _, err := fmt.Fprintf(conn, "%s\n", line); err != nil {
			return err
		}
	}
	return nil
}

// diskDark is written, and asks the network twice afterwards.
func diskDark(m *played) error {
	if _, err := m.written(); err != nil {
		return err
	}
	if err := m.leaves(); err != nil {
		return err
	}
	return errors.Join(m.http(m.boot("script.ipxe"), never), m.http(m.boot("script.ipxe"), never))
}

// leaves waits until its silence is taken for its reboot.
func (m *played) leaves() error {
	return m.poll(20*time.Second, func() error {
		d, err := m.b.r.client.Machine(m.t.Context(), m.id)
		if err == nil && d.Status.Phase != inventory.PhaseFirstBoot {
			err = errNotYet(string(d.Status.Phase))
		}
		return err
	})
}

// networkFirst is deployed to its phone-home, and asks the network again and again.
func networkFirst(m *played) error {
	o, err := m.written()
	if err != nil {
		return err
	}
	if err := m.phoneHome(o.Generation); err != nil {
		return err
	}
	if err := m.becomes(inventory.Deployed, ""); err != nil {
		return err
	}
	script := m.boot("script.ipxe")
	return errors.Join(m.http(script, never), m.http(script, never), m.http(script, never))
}

// phoneHome is the installed system's word, as cloud-init sends it.
func (m *played) phoneHome(generation int64) error {
	key, err := secret.Open(filepath.Join(m.b.r.data, "key"))
	if err != nil {
		return err
	}
	d, err := m.b.r.client.Machine(m.t.Context(), m.id)
	if err != nil {
		return err
	}
	form := url.Values{"instance_id": {seed.InstanceID(&d.Machine)}, "hostname": {"played"}}
	req, err := http.NewRequestWithContext(m.t.Context(), http.MethodPost, "http://"+server+":7480"+installed.PhoneHomePath(key, m.id, generation),
		bytes.NewReader([]byte(form.Encode())))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := (&http.Client{Transport: &http.Transport{DialContext: m.b.r.dial, DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("phone-home: %s", resp.Status)
	}
	return nil
}
