package netboot

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
	"ingot/inventory/sqlstore"
)

var t0 = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// bench is a recorder whose clock the test moves; observations are recorded at once, as
// its one goroutine does.
type bench struct {
	t     *testing.T
	r     *Recorder
	store inventory.Store
	now   time.Time
}

func newBench(t *testing.T, ms ...*inventory.Machine) *bench {
	t.Helper()
	store, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "ingot.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	b := &bench{t: t, store: store, now: t0}
	b.r = NewRecorder(newTable(ms...), store, func() time.Time { return b.now }, nil)
	if err := store.Update(t.Context(), func(x inventory.Tx) error {
		for _, m := range ms {
			if err := x.PutMachine(t.Context(), m); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return b
}

// work records what is in the queue.
func (b *bench) work() {
	for {
		select {
		case o := <-b.r.queue:
			b.r.record(b.t.Context(), o)
		default:
			return
		}
	}
}

func (b *bench) boot(c Client) Offer {
	o := b.r.table.Boot(c)
	b.r.SawBoot(c, "PXEClient", o)
	b.work()
	return o
}

func (b *bench) file(name string, outcome inventory.FileOutcome) {
	b.r.SawFile(FileSeen{MAC: mac, Client: netip.MustParseAddr("192.0.2.100"), At: b.now,
		BootFile: inventory.BootFile{File: name, Protocol: "tftp", Outcome: outcome, Bytes: 10, TotalBytes: 20, Block: 31}})
	b.work()
}

func (b *bench) script(name string) {
	b.r.SawScript(mac, name, Script{Answer: inventory.BootAgent, Why: "ready"})
	b.work()
}

func (b *bench) pass(d time.Duration) { b.now = b.now.Add(d) }

func view[T any](b *bench, f func(context.Context, inventory.Tx) (T, error)) T {
	b.t.Helper()
	var out T
	ctx := b.t.Context()
	if err := b.store.View(ctx, func(x inventory.Tx) (err error) {
		out, err = f(ctx, x)
		return err
	}); err != nil {
		b.t.Fatal(err)
	}
	return out
}

func (b *bench) events() []inventory.Event {
	b.t.Helper()
	return view(b, func(ctx context.Context, x inventory.Tx) ([]inventory.Event, error) {
		return x.Events(ctx, inventory.EventQuery{})
	})
}

func (b *bench) timeline() []string {
	b.t.Helper()
	var out []string
	for _, e := range b.events() {
		out = append(out, e.Text())
	}
	return out
}

func (b *bench) machines() []*inventory.Machine {
	b.t.Helper()
	return view(b, func(ctx context.Context, x inventory.Tx) ([]*inventory.Machine, error) { return x.Machines(ctx) })
}

// TestUnknownClientBecomesAMachine: a DISCOVER alone makes nothing; a file does, and
// the start of the boot is told then.
func TestUnknownClientBecomesAMachine(t *testing.T) {
	b := newBench(t)
	c := client(ArchEFIX64)
	c.UUID = uuid
	b.boot(c)
	if ms := b.machines(); len(ms) > 0 {
		t.Fatalf("a DISCOVER made %s", ms[0].Name)
	}
	b.pass(time.Second)
	b.file("shimx64.efi", inventory.FileProbe)
	if ms := b.machines(); len(ms) > 0 {
		t.Fatal("a size probe made a machine")
	}
	b.file("shimx64.efi", inventory.FileDone)
	b.file("grubx64.efi", inventory.FileDone)
	b.script("grub")
	ms := b.machines()
	if len(ms) != 1 || ms[0].Identity.UUID != uuid || ms[0].Status.State != inventory.Discovered {
		t.Fatalf("machines = %+v", ms)
	}
	want := []string{"discovered by network boot (52:54:00:00:00:01)", "network boot by UEFI (architecture 9): offered shimx64.efi",
		"shimx64.efi fetched by TFTP (10 B)", "grubx64.efi fetched by TFTP (10 B)", "grub script: boot agent (ready)"}
	if d := cmp.Diff(want, b.timeline()); d != "" {
		t.Errorf("timeline (-want +got):\n%s", d)
	}
}

// TestOneAttempt: what one boot does carries one name; the next boot another.
func TestOneAttempt(t *testing.T) {
	b := newBench(t, machine())
	b.boot(client(ArchBIOS))
	b.pass(4 * time.Second)
	b.boot(client(ArchBIOS)) // the firmware repeats itself
	b.file("undionly.kpxe", inventory.FileDone)
	ipxe := client(ArchBIOS)
	ipxe.IPXE = true
	b.boot(ipxe)
	b.script("ipxe")
	b.pass(time.Hour)
	b.boot(client(ArchBIOS))
	attempts := map[string]int{}
	for _, e := range b.events() {
		p, err := e.Decode()
		if err != nil {
			t.Fatal(err)
		}
		switch p := p.(type) {
		case inventory.BootStarted:
			attempts[p.Attempt]++
		case inventory.BootFile:
			attempts[p.Attempt]++
		case inventory.BootScript:
			attempts[p.Attempt]++
		}
	}
	if d := cmp.Diff(2, len(attempts)); d != "" {
		t.Errorf("attempts (-want +got):\n%s\n%v\n%q", d, attempts, b.timeline())
	}
}

// TestSameOutcomeIsToldOnce: a transfer that stops again and again is one event per
// boot; the sighting counts.
func TestSameOutcomeIsToldOnce(t *testing.T) {
	b := newBench(t, machine())
	b.boot(client(ArchEFIX64))
	for range 5 {
		b.file("shimx64.efi", inventory.FileStopped)
	}
	if n := strings.Count(strings.Join(b.timeline(), "\n"), "stopped at block 31"); n != 1 {
		t.Errorf("told %d times, want once", n)
	}
	b.r.flush(t.Context())
	ss := view(b, func(ctx context.Context, x inventory.Tx) ([]inventory.Sighting, error) {
		return x.Sightings(ctx, []inventory.MAC{mac})
	})
	if len(ss) != 1 || ss[0].Count != 5 || ss[0].Kind != inventory.SawFileStopped || ss[0].Values.Block != 31 {
		t.Errorf("sightings = %+v", ss)
	}
}

// TestRejectedLoader: fetched whole and not followed up means that the firmware refused
// it, and the next DISCOVER gets the other chain.
func TestRejectedLoader(t *testing.T) {
	b := newBench(t, machine(secureBoot(inventory.SecureBootOff)))
	if got := b.boot(client(ArchEFIX64)).Chain; got != inventory.ChainSNP {
		t.Fatalf("first chain = %s", got)
	}
	b.file("snponly.efi", inventory.FileDone)
	b.pass(64 * time.Second)
	b.boot(client(ArchEFIX64))
	if got := b.r.table.Boot(client(ArchEFIX64)).Chain; got != inventory.ChainShim {
		t.Errorf("chain after the refusal = %s, want shim", got)
	}
	if tl := strings.Join(b.timeline(), "\n"); !strings.Contains(tl, "firmware fetched snponly.efi and did not run it; next boot gets the shim chain") {
		t.Errorf("timeline:\n%s", tl)
	}
}

// TestNotRejected: these look alike and are no refusal.
func TestNotRejected(t *testing.T) {
	for name, boot := range map[string]func(*bench){
		"followed by another file": func(b *bench) { b.file("snponly.efi", inventory.FileDone); b.file("vmlinuz", inventory.FileDone) },
		"followed by a script":     func(b *bench) { b.file("snponly.efi", inventory.FileDone); b.script("ipxe") },
		"stopped in the middle":    func(b *bench) { b.file("snponly.efi", inventory.FileStopped) },
		"nothing fetched":          func(*bench) {},
		"asks again at once":       func(b *bench) { b.file("snponly.efi", inventory.FileDone); b.pass(-63 * time.Second) },
	} {
		b := newBench(t, machine(secureBoot(inventory.SecureBootOff)))
		b.boot(client(ArchEFIX64))
		boot(b)
		b.pass(64 * time.Second)
		b.boot(client(ArchEFIX64))
		if got := b.r.table.Boot(client(ArchEFIX64)).Chain; got != inventory.ChainSNP {
			t.Errorf("%s: chain = %s", name, got)
		}
	}
	bios := newBench(t, machine())
	bios.boot(client(ArchBIOS))
	bios.file("undionly.kpxe", inventory.FileDone)
	bios.pass(64 * time.Second)
	bios.boot(client(ArchBIOS))
	if tl := strings.Join(bios.timeline(), "\n"); strings.Contains(tl, "did not run it") {
		t.Errorf("BIOS has no other chain:\n%s", tl)
	}
}

// TestWhose: a file without a MAC in its path belongs to the neighbour's MAC, or to who
// last asked from that address.
func TestWhose(t *testing.T) {
	b := newBench(t, machine())
	b.file("shimx64.efi", inventory.FileDone)
	seen := FileSeen{Client: netip.MustParseAddr("192.0.2.100"), At: t0, BootFile: inventory.BootFile{File: "grubx64.efi", Protocol: "tftp", Outcome: inventory.FileDone}}
	if got := b.r.whose(seen); got != mac {
		t.Errorf("by the last path from the address: %q", got)
	}
	seen.Client = netip.MustParseAddr("192.0.2.101")
	if got := b.r.whose(seen); got != "" {
		t.Errorf("of nobody: %q", got)
	}
	b.r.Neighbour = func(ip netip.Addr) (inventory.MAC, bool) { return mac, ip == seen.Client }
	if got := b.r.whose(seen); got != mac {
		t.Errorf("by the neighbour table: %q", got)
	}
}

// TestFloodIsBounded: ten thousand MACs leave the known machine's record whole and the
// recorder's memory and table small.
func TestFloodIsBounded(t *testing.T) {
	b := newBench(t, machine())
	flood := func(kind inventory.SightingKind) {
		for i := range 10_000 {
			c := client(ArchBIOS)
			c.MAC = inventory.MAC(fmt.Sprintf("02:00:00:00:%02x:%02x", i>>8, i&255))
			b.pass(time.Millisecond)
			b.boot(c)
			b.r.Saw(inventory.Sighting{MAC: c.MAC, Kind: kind, Count: 1, First: b.now, Last: b.now})
			b.work()
		}
	}
	flood(inventory.SawDiscover)
	b.r.Saw(inventory.Sighting{MAC: mac, Kind: inventory.SawDiscover, Count: 1, First: b.now, Last: b.now})
	b.boot(client(ArchBIOS))
	b.work()
	if n := len(b.r.attempts); n > maxAttempts {
		t.Errorf("%d attempts are kept, want at most %d", n, maxAttempts)
	}
	if n := len(b.r.pending); n > maxPending+1 {
		t.Errorf("%d sightings are pending, want at most %d", n, maxPending)
	}
	waiting := len(b.r.pending)
	for _, keys := range b.r.chunks(chunkMax) {
		b.r.keep(t.Context(), keys)
	}
	if n := waiting - len(b.r.pending); n != chunkMax*chunkRows {
		t.Errorf("one flush stored %d sightings, want %d: leases wait meanwhile", n, chunkMax*chunkRows)
	}
	if got := view(b, func(ctx context.Context, x inventory.Tx) ([]inventory.Sighting, error) {
		return x.Sightings(ctx, []inventory.MAC{mac})
	}); len(got) != 1 {
		t.Errorf("the known machine's sightings: %+v", got)
	}
	if ms := b.machines(); len(ms) != 1 {
		t.Errorf("%d machines after a flood of DISCOVERs, want 1", len(ms))
	}
	if tl := b.timeline(); len(tl) != 1 {
		t.Errorf("timeline = %q", tl)
	}
}

// TestFullQueueNeverBlocks: what does not fit is dropped.
func TestFullQueueNeverBlocks(t *testing.T) {
	b := newBench(t)
	for range queueLength + 10 {
		b.r.Saw(inventory.Sighting{MAC: mac, Kind: inventory.SawDiscover, Count: 1})
	}
	if n := len(b.r.queue); n != queueLength {
		t.Errorf("queue holds %d, want %d", n, queueLength)
	}
}

// TestRunStoresWhatIsPendingAtTheEnd.
func TestRunStoresWhatIsPendingAtTheEnd(t *testing.T) {
	b := newBench(t, machine())
	ctx, cancel := context.WithCancel(t.Context())
	b.r.Saw(inventory.Sighting{MAC: mac, Kind: inventory.SawDiscover, Count: 3, First: t0, Last: t0})
	cancel()
	if err := b.r.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if got := view(b, func(ctx context.Context, x inventory.Tx) ([]inventory.Sighting, error) {
		return x.Sightings(ctx, []inventory.MAC{mac})
	}); len(got) != 1 || got[0].Count != 3 {
		t.Errorf("sightings = %+v", got)
	}
}

// TestFollow: the table learns of changes, and of deletions.
func TestFollow(t *testing.T) {
	b := newBench(t)
	table := newTable()
	seq, err := table.Load(t.Context(), b.store)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- table.Follow(ctx, b.store, seq) }()
	change := func(f func(inventory.Tx) error) {
		t.Helper()
		if err := b.store.Update(ctx, func(x inventory.Tx) error {
			if err := f(x); err != nil {
				return err
			}
			return addEvent(ctx, x, machine(), t0, inventory.Recovered{Step: "x"})
		}); err != nil {
			t.Fatal(err)
		}
	}
	change(func(x inventory.Tx) error { return x.PutMachine(ctx, machine()) })
	eventually(t, func() bool { return table.Known(mac) })
	change(func(x inventory.Tx) error { return x.DeleteMachine(ctx, "m-1") })
	eventually(t, func() bool { return !table.Known(mac) })
	cancel()
	if err := <-done; err == nil {
		t.Error("Follow ended without its context's error")
	}
}

// eventually waits for what another goroutine does.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-deadline:
			t.Fatal("it did not happen")
		case <-tick.C:
		}
	}
}

// TestStoredBitByBit: between two transactions of many there is time for leases, and what
// is too much for one turn waits for the next. The clock is synctest's: nothing sleeps.
func TestStoredBitByBit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, machine())
		var macs []inventory.MAC
		for i := range 2 * chunkMax * chunkRows {
			macs = append(macs, inventory.MAC(fmt.Sprintf("02:00:00:00:%02x:%02x", i>>8, i&255)))
			b.r.Saw(inventory.Sighting{MAC: macs[i], Kind: inventory.SawDiscover, Count: 1, First: b.now, Last: b.now})
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.r.Run(ctx) }()
		for n, after := range []time.Duration{flushEvery + chunkPause/2, chunkPause, chunkPause, chunkMax * chunkPause} {
			<-time.After(after)
			synctest.Wait()
			got := view(b, func(ctx context.Context, x inventory.Tx) ([]inventory.Sighting, error) { return x.Sightings(ctx, macs) })
			if want := []int{1, 2, 3, chunkMax}[n] * chunkRows; len(got) != want {
				t.Errorf("%d sightings stored, want %d", len(got), want)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if b.r.trimmed.IsZero() {
			t.Error("old sightings were not removed")
		}
	})
}

// TestIdleWritesNothing: with nothing seen there is nothing to store, and nothing to remove.
func TestIdleWritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, machine())
		ctx, cancel := context.WithTimeout(t.Context(), 3*trimEvery)
		defer cancel()
		if err := b.r.Run(ctx); err != nil {
			t.Error(err)
		}
		if !b.r.trimmed.IsZero() {
			t.Error("an idle recorder wrote to the database")
		}
	})
}
