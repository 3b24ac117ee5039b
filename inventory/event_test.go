package inventory

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var at = netip.MustParseAddr("192.0.2.7")

// sentences has one payload of every kind, and how a timeline says it.
var sentences = map[string]Payload{
	"machines boot set 0a1b (kernel 6.1.0-9-amd64) from now on: it passed":                                                               BootSetMoved{Set: "0a1b", Kernel: "6.1.0-9-amd64", Why: "it passed"},
	"boot set 0a1b (kernel 6.1) failed its boot test (uefi): Kernel panic":                                                               BootSetTested{Set: "0a1b", Kernel: "6.1", Mode: "uefi", Problem: "Kernel panic"},
	"boot set 0a1b (kernel 6.1): the last 3 machines that boot it never reached the agent (a, b, c); go back with: ingot agent rollback": BootSetSuspect{Set: "0a1b", Kernel: "6.1", Machines: []string{"a", "b", "c"}, Rollback: "ingot agent rollback"},
	"discovered by agent (52:54:00:00:00:0a)":                                                                                            Seen{MAC: macA, By: "agent"},
	"ready → deploying (deploy)":                                                                                                         StateChanged{From: Ready, To: Deploying, Trigger: TriggerDeploy},
	"boot: switch it on":                                                                                                                 PhaseChanged{Phase: PhaseBoot, Waiting: "switch it on"},
	"write failed: disk full":                                                                                                            Failed{Failure: Failure{Step: "write", Reason: "disk full", Since: stateTime}, Attempt: 2},
	"write goes on":                                                                                                                      Recovered{Step: "write"},
	"identity conflict: UUID a against b":                                                                                                Conflicted{Reason: "UUID a against b", MAC: macA},
	"facts 2: disk new: S4":                                                                                                              FactsRead{Version: 2, Summary: "x", Changes: []string{"disk new: S4"}},
	"on hold: restored":                                                                                                                  Held{Reason: "restored"},
	"order 3: deploy debian-12@sha256:ab":                                                                                                Ordered{Order: "deploy", Generation: 3, Image: "debian-12@sha256:ab", By: "admin"},
	"write 50% (5.00 GB of 10.0 GB)":                                                                                                     Progressed{Progress{Step: "write", Bytes: 5e9, TotalBytes: 10e9}},
	"wrote debian-12 to sda in 1.5s":                                                                                                     Written{Report: Report{Disk: "sda", Duration: 1500 * time.Millisecond, OK: true}, Image: "debian-12"},
	"phone-home from 192.0.2.7":                                                                                                          PhonedHome{InstanceID: "m-1-3", Address: at},
	"deleted from the inventory":                                                                                                         Deleted{},
	"image debian-12@sha256:ab passed its boot test (uefi)":                                                                              ImageTested{Name: "debian-12", Digest: "sha256:ab", Mode: "uefi", Passed: true},
	"image debian-12@sha256:ab removed: nothing uses it":                                                                                 ImageRemoved{Name: "debian-12", Digest: "sha256:ab", Why: "nothing uses it"},
	"channel debian-12:stable is sha256:ab: promoted from candidate":                                                                     ChannelMoved{Name: "debian-12", Channel: "stable", Digest: "sha256:ab", Why: "promoted from candidate"},
	"nightly build web failed at build: disk full":                                                                                       BuildEnded{Schedule: "web", Step: "build", Problem: "disk full"},
	"rollout r-1 of debian-12 is stopped: 2 of 3 machines failed":                                                                        RolloutMoved{ID: "r-1", Image: "debian-12", State: RolloutStopped, Text: "2 of 3 machines failed"},
	"on host kvm1: most memory free":                                                                                                     Placed{Host: "kvm1", Why: "most memory free"},
	"made on kvm1 as a full copy in 1.5s (disk grows)":                                                                                   VMMade{Host: "kvm1", UUID: "u", Clone: "full copy", Why: "disk grows", Duration: 1500 * time.Millisecond},
	"deleted on host kvm1":                                                                                                               VMGone{Host: "kvm1"},
	"network boot by UEFI (architecture 7): offered shimx64.efi":                                                                         BootStarted{Attempt: "A", MAC: macA, Arch: 7, Client: "UEFI", File: "shimx64.efi"},
	"snponly.efi by TFTP stopped at block 31, 45.5 kB of 300 kB":                                                                         BootFile{File: "snponly.efi", Protocol: "tftp", Outcome: FileStopped, Block: 31, Bytes: 45508, TotalBytes: 3e5},
	"ipxe script: boot agent (ready)":                                                                                                    BootScript{Script: "ipxe", Answer: BootAgent, Why: "ready"},
	"firmware fetched a.efi and did not run it; next boot gets the shim chain":                                                           BootRejected{File: "a.efi", Next: ChainShim},
	"agent is up at 192.0.2.7":                                                                                                           AgentUp{Boot: "b", Address: at},
	"agent fell silent; its last log line: writing":                                                                                      AgentLost{Phase: PhaseWrite, LastLog: "writing", Percent: 43},
	"agent died: panic: x":                                                                                                               AgentPanic{Line: "panic: x"},
	"alarm: second claim (from 192.0.2.7)":                                                                                               AgentAlarm{Address: at, Reason: "second claim"},
	"agent refused order 3: too old":                                                                                                     OrderRefused{Generation: 3, Reason: "too old"},
	"DHCP server 192.0.2.7 answers on rack as well: new leases are paused":                                                               OtherDHCP{Network: "rack", Server: at, Paused: true},
	"network rack has no free address: all 100 are taken":                                                                                PoolExhausted{Network: "rack", Size: 100},
	"52:54:00:00:00:0a declined 192.0.2.7 (in use by someone else): quarantined":                                                         AddressDeclined{IP: at, MAC: macA},
	"DHCP on rack is proxy: told so":                                                                                                     DHCPModeChanged{Network: "rack", Mode: DHCPProxy, Why: "told so"},
	"image debian-12@sha256:ab added":                                                                                                    ImageAdded{Name: "debian-12", Digest: "sha256:ab"},
	"server started on a restored database: all machines are on hold":                                                                    ServerStarted{Version: "1", Restored: true},
}

func TestEventsRoundTrip(t *testing.T) {
	m := &Machine{ID: "m-1", Name: "web"}
	told := map[EventKind]bool{}
	for want, p := range sentences {
		told[p.Kind()] = true
		e, err := NewEvent(m, stateTime, p)
		if err != nil {
			t.Fatal(err)
		}
		wire, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var back Event
		if err := json.Unmarshal(wire, &back); err != nil {
			t.Fatal(err)
		}
		got, err := back.Decode()
		if err != nil {
			t.Errorf("%s: %v", p.Kind(), err)
			continue
		}
		if d := cmp.Diff(p, got, sameAddress); d != "" {
			t.Errorf("%s (-want +got):\n%s", p.Kind(), d)
		}
		if back.Text() != want || back.Machine != "m-1" || back.Name != "web" || !back.Time.Equal(stateTime) {
			t.Errorf("%s: %+v says %q, want %q", p.Kind(), back, back.Text(), want)
		}
	}
	for kind := range payloads {
		if !told[kind] {
			t.Errorf("%s has no payload in this test", kind)
		}
	}
}

func TestPayloadsSayOtherThings(t *testing.T) {
	for want, p := range map[string]Payload{
		"boot set 0a1b (kernel 6.1) passed its boot test (bios)": BootSetTested{Set: "0a1b", Kernel: "6.1", Mode: "bios", Passed: true},
		"write":       PhaseChanged{Phase: PhaseWrite},
		"hold lifted": Held{},
		"facts 1: x":  FactsRead{Version: 1, Summary: "x"},
		"network boot by BIOS (architecture 0): nothing offered, x": BootStarted{Client: "BIOS", Nothing: "x"},
		"a by HTTP: not-found":                       BootFile{File: "a", Protocol: "http", Outcome: FileNotFound},
		"a fetched by TFTP (1.00 kB)":                BootFile{File: "a", Protocol: "tftp", Outcome: FileDone, Bytes: 1000},
		"DHCP server 192.0.2.7 answers on n as well": OtherDHCP{Network: "n", Server: at},
		"server started":                             ServerStarted{},
	} {
		if got := p.String(); got != want {
			t.Errorf("%T says %q, want %q", p, got, want)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	if _, err := (Event{Kind: "machine.teleported", Data: json.RawMessage("{}")}).Decode(); !errors.Is(err, ErrUnsupported) {
		t.Errorf("unknown kind: %v", err)
	}
	bad := Event{Kind: EventState, Data: json.RawMessage(`{"from":7}`)}
	if _, err := bad.Decode(); err == nil || !strings.Contains(err.Error(), "machine.state") {
		t.Errorf("bad payload: %v", err)
	}
	if bad.Text() != "machine.state" {
		t.Errorf("Text = %q", bad.Text())
	}
}

func TestPercent(t *testing.T) {
	for _, c := range []struct {
		bytes, total int64
		want         int
	}{{0, 0, 0}, {5, 10, 50}, {999, 1000, 99}, {10, 10, 100}, {11, 10, 100}, {-5, 10, 0}, {1 << 62, 1 << 62, 100}, {5, -1, 0}} {
		if got := (Progress{Bytes: c.bytes, TotalBytes: c.total}).Percent(); got != c.want {
			t.Errorf("%d of %d = %d%%, want %d%%", c.bytes, c.total, got, c.want)
		}
	}
}

func FuzzDecodeEvent(f *testing.F) {
	for _, p := range sentences {
		data, err := json.Marshal(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(p.Kind()), data)
	}
	f.Add("machine.state", []byte(`{"from":[]}`))
	f.Fuzz(func(t *testing.T, kind string, data []byte) {
		e := Event{Kind: EventKind(kind), Data: data}
		p, err := e.Decode()
		if err != nil {
			return
		}
		if p.Kind() != e.Kind {
			t.Errorf("%s decodes as %s", e.Kind, p.Kind())
		}
		_ = e.Text()
	})
}
