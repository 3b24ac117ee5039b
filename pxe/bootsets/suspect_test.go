package bootsets

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
)

// TestSuspicion: three machines in a row that don't come up make a fresh set suspect; one
// that comes up, another set, or an old one does not.
func TestSuspicion(t *testing.T) {
	c := newClock()
	store := openStore(t, t.TempDir(), c)
	old, set := made(t, store, "old"), made(t, store, "new")
	for _, id := range []string{old.ID, set.ID} {
		c.pass(time.Hour)
		if err := store.promote(id); err != nil {
			t.Fatal(err)
		}
	}
	fetched := func(name, set string) inventory.Payload {
		return inventory.BootFile{File: "initrd.img", Outcome: inventory.FileDone, Set: set}
	}
	type step struct {
		machine string
		payload inventory.Payload
	}
	boots := func(set string, machines ...string) (steps []step) {
		for _, m := range machines {
			steps = append(steps, step{m, fetched(m, set)})
		}
		return steps
	}
	up := func(m string) step { return step{m, inventory.AgentUp{BootSet: set.ID}} }
	for name, tt := range map[string]struct {
		steps []step
		age   time.Duration
		want  []string
	}{
		"three":          {steps: boots(set.ID, "c", "a", "b"), want: []string{"a", "b", "c"}},
		"two":            {steps: boots(set.ID, "a", "b")},
		"one, often":     {steps: boots(set.ID, "a", "a", "a")},
		"another set":    {steps: boots(old.ID, "a", "b", "c")},
		"all come up":    {steps: append(boots(set.ID, "a", "b", "c"), up("a"), up("b"), up("c"))},
		"an old set":     {steps: boots(set.ID, "a", "b", "c"), age: 30 * 24 * time.Hour},
		"parts of files": {steps: []step{{"a", inventory.BootFile{File: "vmlinuz", Outcome: inventory.FileDone, Set: set.ID}}}},
	} {
		t.Run(name, func(t *testing.T) {
			now := c.now.Add(tt.age)
			var told []inventory.BootSetSuspect
			s := &Suspicion{Store: store, Limit: 20 * time.Minute, Now: func() time.Time { return now }, Tell: func(_ context.Context, p inventory.Payload) error {
				told = append(told, p.(inventory.BootSetSuspect))
				return nil
			}}
			for _, st := range tt.steps {
				e, err := inventory.NewEvent(&inventory.Machine{ID: st.machine, Name: st.machine}, now, st.payload)
				if err != nil {
					t.Fatal(err)
				}
				s.See(e)
			}
			for _, wait := range []time.Duration{19 * time.Minute, time.Minute, time.Hour} {
				now = now.Add(wait)
				if err := s.Check(t.Context()); err != nil {
					t.Fatal(err)
				}
				if wait == 19*time.Minute && len(told) > 0 {
					t.Error("told too early")
				}
			}
			var want []inventory.BootSetSuspect
			if tt.want != nil {
				want = []inventory.BootSetSuspect{{Set: set.ID, Kernel: "6.1.0-new", Machines: tt.want, Rollback: "ingot agent rollback"}}
			}
			if diff := cmp.Diff(want, told); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	// A machine that comes up in between begins the row anew.
	s := &Suspicion{Store: store, Limit: time.Minute, Now: c.read, Tell: func(_ context.Context, p inventory.Payload) error {
		t.Errorf("told: %s", p)
		return nil
	}}
	for _, st := range append(boots(set.ID, "a", "b"), step{}, up("x"), step{"c", fetched("c", set.ID)}, step{}) {
		if st.payload == nil {
			c.pass(time.Hour)
			if err := s.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			continue
		}
		e, err := inventory.NewEvent(&inventory.Machine{ID: st.machine, Name: st.machine}, c.now, st.payload)
		if err != nil {
			t.Fatal(err)
		}
		s.See(e)
	}
}
