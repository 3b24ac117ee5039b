package e2e

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/iana"
	"golang.org/x/sync/errgroup"

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
