package bootsets

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
)

// workshop is a keeper whose packages, builds and tests are the test's.
type workshop struct {
	t *testing.T
	*Keeper
	clock *clock
	// packages is what the mirror has; the set made of it is called so.
	packages string
	builds   int
	// broken sets fail their test, in the mode named.
	broken map[string]string
	// skipped modes can't be tested here.
	skipped map[string]string
	// kill, when set, is called in the middle of a build or test and cuts it short.
	kill   func(what string) error
	tests  []string
	events []string
	steps  []string
}

func newWorkshop(t *testing.T, dir string, c *clock) *workshop {
	t.Helper()
	w := &workshop{t: t, clock: c, packages: "one", broken: map[string]string{}, skipped: map[string]string{}}
	w.Keeper = &Keeper{Store: openStore(t, dir, c), Builder: w, Tester: w, Modes: []string{"bios", "uefi"}, Log: slog.New(slog.DiscardHandler),
		Tell: func(_ context.Context, p inventory.Payload) error {
			w.events = append(w.events, p.String())
			return nil
		}}
	return w
}

// Key implements Builder.
func (w *workshop) Key(context.Context, bool) (string, error) { return "key of " + w.packages, nil }

// Build implements Builder.
func (w *workshop) Build(_ context.Context, out, _ string) error {
	w.builds++
	if w.kill != nil {
		if err := w.kill("build"); err != nil {
			return err
		}
	}
	writeSet(w.t, out, "key of "+w.packages, w.packages)
	return nil
}

// Test implements Tester.
func (w *workshop) Test(_ context.Context, set inventory.BootSet, dir, mode string) (inventory.BootSetTest, error) {
	if filepath.Base(dir) != set.ID {
		w.t.Errorf("set %s is in %s", set.ID, dir)
	}
	if w.kill != nil {
		if err := w.kill("test"); err != nil {
			return inventory.BootSetTest{}, err
		}
	}
	name := strings.TrimPrefix(set.Kernel, "6.1.0-")
	w.tests = append(w.tests, name+" "+mode)
	out := inventory.BootSetTest{Mode: mode, Started: w.clock.now, Passed: w.broken[name] != mode, Skipped: w.skipped[mode]}
	if out.Skipped != "" {
		out.Passed = false
	} else if !out.Passed {
		out.Problem = "its console says: Kernel panic"
	}
	return out, nil
}

// night is one run of the schedule.
func (w *workshop) night() (Renewed, error) {
	w.clock.pass(24 * time.Hour)
	w.tests, w.steps = nil, nil
	return w.Renew(w.t.Context(), Order{Scheduled: true, Why: "newer"}, func(s string) { w.steps = append(w.steps, s) })
}

func (w *workshop) first() inventory.BootSet {
	w.t.Helper()
	r, err := w.Renew(w.t.Context(), Order{Untested: true, Why: "first"}, func(string) {})
	if err != nil || len(w.tests) > 0 {
		w.t.Fatalf("%v, tests %v", err, w.tests)
	}
	return r.Set
}

func (w *workshop) want(states map[string]inventory.BootSetState) {
	w.t.Helper()
	if diff := cmp.Diff(states, statesOf(w)); diff != "" {
		w.t.Errorf("sets (-want +got):\n%s", diff)
	}
}

func statesOf(w *workshop) map[string]inventory.BootSetState {
	out := map[string]inventory.BootSetState{}
	for kernel, state := range states(w.t, w.Store) {
		out[strings.TrimPrefix(kernel, "6.1.0-")] = state
	}
	return out
}

// TestNights: the first set goes out untested and the schedule tests it; nothing changed
// is nothing to do; what passes is promoted, what fails is not and is tried again.
func TestNights(t *testing.T) {
	w := newWorkshop(t, t.TempDir(), newClock())
	first := w.first()
	r, err := w.night()
	if err != nil || !r.Unchanged || w.builds != 1 {
		t.Errorf("%+v, %v, %d builds", r, err, w.builds)
	}
	if diff := cmp.Diff([]string{"one bios", "one uefi"}, w.tests); diff != "" {
		t.Errorf("the untested set (-want +got):\n%s", diff)
	}
	if r, err = w.night(); err != nil || !r.Unchanged || len(w.tests) > 0 || w.builds != 1 {
		t.Errorf("unchanged: %+v, %v, tests %v", r, err, w.tests)
	}

	w.packages = "two"
	r, err = w.night()
	if err != nil || r.Unchanged || r.Set.State != inventory.BootSetCurrent || !r.Set.Tested() {
		t.Errorf("changed: %+v, %v", r, err)
	}
	if diff := cmp.Diff([]string{"packages", "build", "boot test bios", "boot test uefi", "promote"}, w.steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}

	w.packages, w.broken = "three", map[string]string{"three": "uefi"}
	for range 2 {
		r, err = w.night()
		var failed *FailedError
		if !errors.As(err, &failed) || failed.Set.Kernel != "6.1.0-three" || !strings.Contains(err.Error(), "(uefi: its console says: Kernel panic); no machine boots it: they go on with set "+failed.Current) {
			t.Errorf("broken: %+v, %v", r, err)
		}
	}
	if w.builds != 3 {
		t.Errorf("%d builds", w.builds)
	}
	w.want(map[string]inventory.BootSetState{"one": inventory.BootSetFormer, "two": inventory.BootSetCurrent, "three": inventory.BootSetFailed})
	want := []string{"machines boot set " + first.ID + " (kernel 6.1.0-one) from now on: first, untested"}
	if diff := cmp.Diff(want, w.events[:1]); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if last := w.events[len(w.events)-1]; !strings.Contains(last, "(kernel 6.1.0-three) failed its boot test (uefi): its console says: Kernel panic") {
		t.Errorf("last event %q", last)
	}

	w.packages = "four"
	if _, err := w.night(); err != nil {
		t.Fatal(err)
	}
	w.want(map[string]inventory.BootSetState{"two": inventory.BootSetFormer, "three": inventory.BootSetFailed, "four": inventory.BootSetCurrent})
}

// TestFirstIsBroken: a first set that fails stays, for there is no other, and says so.
func TestFirstIsBroken(t *testing.T) {
	w := newWorkshop(t, t.TempDir(), newClock())
	w.first()
	w.broken["one"] = "bios"
	if _, err := w.night(); err == nil || !strings.Contains(err.Error(), "machines boot it all the same, as it is the current one") {
		t.Errorf("%v", err)
	}
	w.want(map[string]inventory.BootSetState{"one": inventory.BootSetCurrent})
}

// TestKilled: work that was cut short in a build or a test is taken up by the next night,
// and machines go on meanwhile.
func TestKilled(t *testing.T) {
	for _, at := range []string{"build", "test"} {
		t.Run(at, func(t *testing.T) {
			dir, c := t.TempDir(), newClock()
			w := newWorkshop(t, dir, c)
			w.first()
			w.packages = "two"
			type killed struct{}
			w.kill = func(what string) error {
				if what == at {
					panic(killed{})
				}
				return nil
			}
			func() {
				defer func() {
					if r := recover(); r != (killed{}) {
						t.Errorf("recovered %v", r)
					}
				}()
				_, err := w.night()
				t.Errorf("not killed: %v", err)
			}()
			if got := statesOf(w)["one"]; got != inventory.BootSetCurrent {
				t.Errorf("meanwhile it is %s", got)
			}
			again := newWorkshop(t, dir, c)
			again.packages = "two"
			if r, err := again.night(); err != nil || r.Set.Kernel != "6.1.0-two" {
				t.Errorf("%+v, %v", r, err)
			}
			again.want(map[string]inventory.BootSetState{"one": inventory.BootSetFormer, "two": inventory.BootSetCurrent})
			if builds := map[string]int{"build": 1, "test": 0}[at]; again.builds != builds {
				t.Errorf("%d builds, want %d", again.builds, builds)
			}
		})
	}
}

// TestHostFails: a host that can't test promotes nothing, and condemns nothing.
func TestHostFails(t *testing.T) {
	w := newWorkshop(t, t.TempDir(), newClock())
	w.first()
	w.packages = "two"
	w.kill = func(what string) error {
		if what == "test" {
			return errors.New("no room on the disk")
		}
		return nil
	}
	if _, err := w.night(); err == nil || !strings.Contains(err.Error(), "no room on the disk") {
		t.Errorf("%v", err)
	}
	w.kill = nil
	w.skipped = map[string]string{"bios": "no QEMU", "uefi": "no OVMF"}
	if _, err := w.night(); !errors.Is(err, inventory.ErrUnsupported) || !strings.Contains(err.Error(), "no OVMF") {
		t.Errorf("all skipped: %v", err)
	}
	w.want(map[string]inventory.BootSetState{"one": inventory.BootSetCurrent, "two": inventory.BootSetCandidate})
	delete(w.skipped, "bios")
	if r, err := w.night(); err != nil || r.Set.State != inventory.BootSetCurrent {
		t.Errorf("one mode can be tested: %+v, %v", r, err)
	}
}

// TestRollback: machines get the set before; the schedule leaves the withdrawn one alone
// until a person takes it again or Debian has something newer.
func TestRollback(t *testing.T) {
	w := newWorkshop(t, t.TempDir(), newClock())
	one := w.first()
	if _, err := w.Rollback(t.Context(), ""); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("nothing before: %v", err)
	}
	w.packages = "two"
	r, err := w.night()
	if err != nil {
		t.Fatal(err)
	}
	two := r.Set
	if _, err := w.Rollback(t.Context(), two.ID); !errors.Is(err, inventory.ErrConflict) {
		t.Errorf("to the current one: %v", err)
	}
	w.clock.pass(time.Hour)
	if set, err := w.Rollback(t.Context(), ""); err != nil || set.ID != one.ID || set.State != inventory.BootSetCurrent {
		t.Fatalf("%+v, %v", set, err)
	}
	w.want(map[string]inventory.BootSetState{"one": inventory.BootSetCurrent, "two": inventory.BootSetWithdrawn})
	if r, err = w.night(); err != nil || !r.Unchanged || !strings.Contains(r.Note, "ingot agent test "+two.ID+" --promote") || len(w.tests) > 0 {
		t.Errorf("%+v, %v, tests %v", r, err, w.tests)
	}
	if set, err := w.Keeper.Test(t.Context(), two.ID[:8], []string{"uefi"}, true, func(string) {}); err != nil || set.State != inventory.BootSetCurrent {
		t.Errorf("taken again: %+v, %v", set, err)
	}
	if diff := cmp.Diff([]string{"two uefi"}, w.tests); diff != "" {
		t.Errorf("tests (-want +got):\n%s", diff)
	}
	w.packages, w.broken["three"] = "three", "bios"
	if _, err := w.night(); err == nil {
		t.Error("a broken set passed")
	}
	w.clock.pass(time.Hour)
	list, err := w.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Rollback(t.Context(), list[0].ID); !errors.Is(err, inventory.ErrConflict) {
		t.Errorf("to one that was never current: %v", err)
	}
}

// TestInUse: the set of an agent that runs stays, and is counted.
func TestInUse(t *testing.T) {
	w := newWorkshop(t, t.TempDir(), newClock())
	one := w.first()
	machines := map[string]int{one.ID: 2}
	w.Machines = func(context.Context) (map[string]int, error) { return machines, nil }
	for _, w.packages = range []string{"two", "three", "four"} {
		if _, err := w.night(); err != nil {
			t.Fatal(err)
		}
	}
	w.want(map[string]inventory.BootSetState{"one": inventory.BootSetFormer, "three": inventory.BootSetFormer, "four": inventory.BootSetCurrent})
	list, err := w.List(t.Context())
	if err != nil || list[len(list)-1].Machines != 2 {
		t.Errorf("%+v, %v", list, err)
	}
	machines = nil
	w.packages = "five"
	if _, err := w.night(); err != nil {
		t.Fatal(err)
	}
	w.want(map[string]inventory.BootSetState{"four": inventory.BootSetFormer, "five": inventory.BootSetCurrent})
}

// TestDamaged: a set whose files are not what they were is made again.
func TestDamaged(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	for name, harm := range map[string]func(string) error{
		"changed": func(set string) error {
			return os.WriteFile(filepath.Join(set, "vmlinuz"), []byte("VMLINUZ of one"), 0o644)
		},
		"cut":    func(set string) error { return os.Truncate(filepath.Join(set, "vmlinuz"), 1) },
		"record": func(set string) error { return os.Remove(filepath.Join(set, recordName)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorkshop(t, dir, c)
			first := w.first()
			if err := harm(w.Store.setDir(first.ID)); err != nil {
				t.Fatal(err)
			}
			again := newWorkshop(t, dir, c)
			if name != "changed" {
				again.want(map[string]inventory.BootSetState{"": inventory.BootSetDamaged})
			}
			r, err := again.night()
			if err != nil || r.Set.ID != first.ID || again.builds != 1 || !r.Set.Tested() {
				t.Errorf("%+v, %v, %d builds", r, err, again.builds)
			}
			if got := content(t, again.Store, "", "vmlinuz"); got != "vmlinuz of one" {
				t.Errorf("kernel %q", got)
			}
			again.want(map[string]inventory.BootSetState{"one": inventory.BootSetCurrent})
		})
	}
}

// TestScheduledWaits: a scheduled renewal that meets another build or test begins when that
// one ends; one by hand does not wait, and none waits past its time.
func TestScheduledWaits(t *testing.T) {
	w := newWorkshop(t, t.TempDir(), newClock())
	w.first()
	w.packages = "two"
	unlock, err := w.Store.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Renew(t.Context(), Order{Why: "by hand"}, func(string) {}); !errors.Is(err, inventory.ErrBusy) {
		t.Errorf("by hand: %v", err)
	}
	late, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := w.Renew(late, Order{Scheduled: true}, func(string) {}); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "wait for the build or test of the boot environment") {
		t.Errorf("past its time: %v", err)
	}
	r, err := w.Renew(t.Context(), Order{Scheduled: true, Why: "newer"}, func(s string) {
		if w.steps = append(w.steps, s); len(w.steps) == 1 {
			if err := unlock(); err != nil {
				t.Error(err)
			}
		}
	})
	if err != nil || r.Set.State != inventory.BootSetCurrent {
		t.Errorf("%+v, %v", r, err)
	}
	want := []string{"wait for the build or test that is under way", "packages", "build", "boot test bios", "boot test uefi", "promote"}
	if diff := cmp.Diff(want, w.steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}
