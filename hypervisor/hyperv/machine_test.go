package hyperv_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ingot/hypervisor"
	"ingot/hypervisor/hyperv"
	"ingot/hypervisor/hyperv/sim"
	"ingot/inventory"
)

// A guest is asked, and one that does not go is left running.
func TestShutDown(t *testing.T) {
	h := sim.New(sim.Options{})
	d := ready(t, h, "power")
	vm := create(t, d, spec("m-1", "one"))
	on := func() {
		t.Helper()
		if err := d.SetPower(t.Context(), vm.ID, hypervisor.On, hypervisor.Graceful); err != nil {
			t.Fatal(err)
		}
	}
	h.Guest(vm.UUID, true, false)
	on()
	if err := d.SetPower(t.Context(), vm.ID, hypervisor.Off, hypervisor.Graceful); err != nil {
		t.Errorf("shut down: %v", err)
	}
	h.Guest(vm.UUID, true, true)
	on()
	h.Forget()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.SetPower(ctx, vm.ID, hypervisor.Off, hypervisor.Graceful) }()
	await(t, h, "power", 3)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("a guest that does not go: %v", err)
	}
	if got, err := d.Get(t.Context(), vm.ID); err != nil || got.Power != hypervisor.On {
		t.Errorf("it is %q, %v; want on", got.Power, err)
	}
}

func TestStates(t *testing.T) {
	h := sim.New(sim.Options{})
	d := ready(t, h, "states")
	vm := create(t, d, spec("m-1", "one"))
	for state, want := range map[string]hypervisor.PowerState{"Off": hypervisor.Off, "OffCritical": hypervisor.Off, "Running": hypervisor.On, "Starting": hypervisor.On,
		"Stopping": hypervisor.On, "Paused": hypervisor.Paused, "Saved": hypervisor.Paused, "FastSaved": hypervisor.Paused, "RunningCritical": hypervisor.Crashed, "PausedCritical": hypervisor.Crashed} {
		h.SetState(vm.UUID, state)
		if got, err := d.Get(t.Context(), vm.ID); err != nil || got.Power != want {
			t.Errorf("%s: got %q, %v; want %q", state, got.Power, err, want)
		}
	}
	for _, state := range []string{"Paused", "Saved"} {
		for to, how := range map[hypervisor.PowerState]hypervisor.PowerHow{hypervisor.On: hypervisor.Graceful, hypervisor.Off: hypervisor.Force} {
			h.SetState(vm.UUID, state)
			if err := d.SetPower(t.Context(), vm.ID, to, how); err != nil {
				t.Errorf("%s to %s: %v", state, to, err)
			}
			if got, err := d.Get(t.Context(), vm.ID); err != nil || got.Power != to {
				t.Errorf("%s to %s: it is %s, %v", state, to, got.Power, err)
			}
		}
	}
}

// A standard checkpoint of a machine that runs comes back saved; the machine ends up off.
func TestRevertLeavesOff(t *testing.T) {
	h := sim.New(sim.Options{})
	d := ready(t, h, "revert")
	s := spec("m-1", "one")
	s.Seed = []byte("seed")
	vm := create(t, d, s)
	for _, integration := range []bool{false, true} {
		h.Guest(vm.UUID, integration, false)
		if err := d.SetPower(t.Context(), vm.ID, hypervisor.On, hypervisor.Graceful); err != nil {
			t.Fatal(err)
		}
		if err := d.CreateSnapshot(t.Context(), vm.ID, "kept"); err != nil {
			t.Fatal(err)
		}
		if err := d.RevertSnapshot(t.Context(), vm.ID, "kept"); err != nil {
			t.Fatal(err)
		}
		got, err := d.Get(t.Context(), vm.ID)
		if err != nil || got.Power != hypervisor.Off || len(got.Disks) != 1 || got.Clone != hypervisor.LinkedClone {
			t.Errorf("integration %v: %+v, %v", integration, got, err)
		}
		all, err := d.Snapshots(t.Context(), vm.ID)
		if err != nil || len(all) != 1 || !all[0].Current {
			t.Errorf("snapshots %+v, %v", all, err)
		}
		if err := d.DeleteSnapshot(t.Context(), vm.ID, "kept"); err != nil {
			t.Fatal(err)
		}
		if got, err := d.Get(t.Context(), vm.ID); err != nil || !strings.HasSuffix(got.Disks[0].Path, `\disk0.vhdx`) {
			t.Errorf("after the merge the disk is %+v, %v", got.Disks, err)
		}
	}
	if err := d.DeleteSnapshot(t.Context(), vm.ID, "kept"); err != nil {
		t.Errorf("one that is gone: %v", err)
	}
	if err := d.CreateSnapshot(t.Context(), vm.ID, strings.Repeat("n", 101)); !errors.Is(err, inventory.ErrInvalid) {
		t.Errorf("a long name: %v", err)
	}
}

func TestAddresses(t *testing.T) {
	h := sim.New(sim.Options{})
	d := ready(t, h, "addresses")
	vm := create(t, d, spec("m-1", "one"))
	h.Guest(vm.UUID, true, false, "10.0.0.7", "fe80::1", "2001:db8::7", "nonsense")
	h.Neighbor("525400000001", "10.0.0.7")
	h.Neighbor("525400000001", "10.0.0.8")
	if got, err := d.Get(t.Context(), vm.ID); err != nil || len(got.NICs[0].Addresses) > 0 {
		t.Errorf("off, and has %v, %v", got.NICs, err)
	}
	if err := d.SetPower(t.Context(), vm.ID, hypervisor.On, hypervisor.Graceful); err != nil {
		t.Fatal(err)
	}
	h.Forget()
	all, err := d.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []hypervisor.Address{{IP: netip.MustParseAddr("10.0.0.7"), Source: hypervisor.FromTools}, {IP: netip.MustParseAddr("2001:db8::7"), Source: hypervisor.FromTools},
		{IP: netip.MustParseAddr("10.0.0.8"), Source: hypervisor.FromARP}}
	if diff := cmp.Diff(want, all[0].NICs[0].Addresses, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
	if n := len(h.Calls()); n != 1 {
		t.Errorf("%d calls for a list", n)
	}
}

func TestAdopt(t *testing.T) {
	h := sim.New(sim.Options{})
	id := h.AddMachine("billing", "call Ann\r\nbefore you touch it", 2)
	other := h.AddMachine("other", "", 1)
	d, theirs := open(t, h, "ours"), open(t, h, "theirs")
	create(t, ready(t, h, "ours"), spec("m-made", "made"))
	foreign, err := d.Foreign(t.Context())
	if err != nil || len(foreign) != 2 || foreign[0].UUID != id || foreign[0].ID != "" || len(foreign[0].Disks) != 1 {
		t.Fatalf("foreign %+v, %v", foreign, err)
	}
	for range 2 {
		vm, err := d.Adopt(t.Context(), strings.ToUpper(id), "m-1")
		if err != nil || vm.ID != "m-1" || vm.UUID != id || vm.Name != "billing" || vm.Clone != "" {
			t.Errorf("adopted %+v, %v", vm, err)
		}
	}
	if notes := h.Notes(id); notes != "call Ann\r\nbefore you touch it\r\n"+`ingot: {"owner":"ours","id":"m-1","state":"adopted"}` {
		t.Errorf("notes %q", notes)
	}
	for name, test := range map[string]struct {
		by       *hyperv.Driver
		uuid, id string
		class    error
	}{
		"twice":            {theirs, id, "m-stolen", inventory.ErrConflict},
		"an ID twice":      {d, other, "m-1", inventory.ErrConflict},
		"nobody":           {d, hypervisor.UUID("no", "body"), "m-none", inventory.ErrNotFound},
		"without an ID":    {d, other, "", inventory.ErrInvalid},
		"ours":             {d, create(t, d, spec("m-made", "made")).UUID, "m-again", inventory.ErrConflict},
		"an ID that is on": {d, other, "m-made", inventory.ErrConflict},
	} {
		if _, err := test.by.Adopt(t.Context(), test.uuid, test.id); !errors.Is(err, test.class) {
			t.Errorf("%s: got %v, want %v", name, err, test.class)
		}
	}
	if err := d.SetPower(t.Context(), "m-1", hypervisor.On, hypervisor.Force); err != nil {
		t.Error(err)
	}
	if err := d.Delete(t.Context(), "m-1"); err != nil {
		t.Fatal(err)
	}
	if left := strings.Join(h.Left(), "\n"); strings.Contains(left, "machine billing") || !strings.Contains(left, id+".vhdx") {
		t.Errorf("an adopted machine goes and its disks stay; left:\n%s", left)
	}
}

// A machine that was adopted under an ID that was lost on the way can be adopted again. The
// first adoption asks nothing after it wrote the notes, so nothing can be cut there.
func TestAdoptAgain(t *testing.T) {
	h := sim.New(sim.Options{})
	uuid := h.AddMachine("billing", "call Ann", 2)
	d := open(t, h, "ours")
	for _, id := range []string{"m-lost", "m-2"} {
		h.Forget()
		vm, err := d.Adopt(t.Context(), uuid, id)
		if err != nil || vm.ID != id || vm.UUID != uuid || vm.Name != "billing" {
			t.Errorf("adopted %+v, %v", vm, err)
		}
		if calls := h.Calls(); calls[len(calls)-1].Script != "setnotes" {
			t.Errorf("after the notes: %+v", calls)
		}
		if got, err := d.Get(t.Context(), id); err != nil || cmp.Diff(vm, got, cmpopts.EquateComparable(netip.Addr{})) != "" {
			t.Errorf("it is %+v, %v; told was %+v", got, err, vm)
		}
	}
	if _, err := d.Get(t.Context(), "m-lost"); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("under the lost ID: %v", err)
	}
	if notes := h.Notes(uuid); strings.Count(notes, "ingot:") != 1 || !strings.HasPrefix(notes, "call Ann\r\n") {
		t.Errorf("notes %q", notes)
	}
}

// A machine on its way to off is not on: it is waited for, and started.
func TestStopping(t *testing.T) {
	h := sim.New(sim.Options{Looks: 4})
	c := config(t, h, "stopping")
	d := opened(t, c)
	if err := d.EnsureImage(t.Context(), image(t), nil); err != nil {
		t.Fatal(err)
	}
	vm := create(t, d, spec("m-1", "one"))
	for _, to := range []hypervisor.PowerState{hypervisor.On, hypervisor.Off} {
		h.SetState(vm.UUID, "Stopping")
		if err := d.SetPower(t.Context(), vm.ID, to, hypervisor.Graceful); err != nil {
			t.Errorf("to %s: %v", to, err)
		}
		if got, err := d.Get(t.Context(), vm.ID); err != nil || got.Power != to {
			t.Errorf("it is %s, %v; want %s", got.Power, err, to)
		}
	}
	slow := sim.New(sim.Options{Looks: 1 << 30})
	c = config(t, slow, "stopping")
	c.Patience = 20 * time.Millisecond
	ready(t, slow, "stopping")
	d = opened(t, c)
	vm = create(t, d, spec("m-1", "one"))
	slow.SetState(vm.UUID, "Stopping")
	if err := d.SetPower(t.Context(), vm.ID, hypervisor.On, hypervisor.Graceful); !errors.Is(err, inventory.ErrBusy) || !strings.Contains(err.Error(), "being shut down") {
		t.Errorf("one that takes long: %v", err)
	}
}

// A name that people changed at the host is told; the part of a long one that does not fit
// is not a change.
func TestNames(t *testing.T) {
	h := sim.New(sim.Options{})
	d := ready(t, h, "names")
	long := strings.Repeat("\U0001F600", 60)
	vm := create(t, d, spec("m-1", long))
	if vm.Name != long {
		t.Errorf("named %q", vm.Name)
	}
	h.Rename(vm.UUID, "renamed")
	if got, err := d.Get(t.Context(), "m-1"); err != nil || got.Name != "renamed" {
		t.Errorf("named %q, %v", got.Name, err)
	}
	for _, id := range []string{"con", "M-1", "m-1", "images", "a/b", "ümlaut", strings.Repeat("x", 100), strings.Repeat("x", 101)} {
		if vm := create(t, d, spec(id, "same")); vm.ID != id {
			t.Errorf("%s became %s", id, vm.ID)
		}
	}
	if all, err := d.List(t.Context()); err != nil || len(all) != 8 {
		t.Errorf("%d machines, %v", len(all), err)
	}
}

func TestWatch(t *testing.T) {
	h := sim.New(sim.Options{})
	d := ready(t, h, "watch")
	vm := create(t, d, spec("m-1", "one"))
	ctx, cancel := context.WithCancel(t.Context())
	seen, ended := make(chan string, 100), make(chan error, 1)
	h.Forget()
	go func() { ended <- d.Watch(ctx, func(id string) { seen <- id }) }()
	next := func(want string) {
		t.Helper()
		for {
			select {
			case id := <-seen:
				if id == want {
					return
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("nothing about %q", want)
			}
		}
	}
	await(t, h, "watch", 3)
	if len(seen) > 0 {
		t.Errorf("told of %q, which was there", <-seen)
	}
	h.SetState(vm.UUID, "Running")
	next("m-1")
	create(t, d, spec("m-2", "two"))
	next("m-2")
	arrived, release := h.Hold("watch")
	<-arrived
	again, releaseAgain := h.Hold("watch")
	h.Down(true)
	release() // this look fails
	<-again
	h.Down(false)
	releaseAgain() // and this one finds the host again
	next("")
	if err := d.Delete(t.Context(), "m-2"); err != nil {
		t.Fatal(err)
	}
	next("m-2")
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("watch ended with %v", err)
	}
}
