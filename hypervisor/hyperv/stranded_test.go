package hyperv_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/hypervisor"
	"ingot/hypervisor/hyperv"
	"ingot/hypervisor/hyperv/powershell"
	"ingot/hypervisor/hyperv/sim"
	"ingot/inventory"
)

func strandedSpec() hypervisor.Spec {
	s := spec("m-1", "one")
	s.Disks = append(s.Disks, hypervisor.DiskSpec{SizeBytes: 8 << 20})
	return s
}

// stranded makes a machine whose script loses its connection before its n-th change, and
// returns what lets it go on. ok is false when it has not so many.
func stranded(t *testing.T, h *sim.Host, d *hyperv.Driver, n int) (goOn func(), ok bool) {
	t.Helper()
	goOn = h.Strand(n)
	_, err := d.Create(t.Context(), strandedSpec())
	if err == nil {
		return goOn, false
	}
	if !errors.Is(err, sim.ErrCut) {
		t.Fatalf("change %d: %v", n, err)
	}
	h.Forget()
	return goOn, true
}

// awaitAny waits until one of the scripts began.
func awaitAny(t *testing.T, h *sim.Host, scripts ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	first, stop := context.WithCancel(ctx)
	for _, script := range scripts {
		go func() {
			if h.Await(first, script, 1) == nil {
				stop()
			}
		}()
	}
	<-first.Done()
	if ctx.Err() != nil {
		t.Fatalf("none of %v ran", scripts)
	}
	stop()
}

// A creation whose connection broke in the middle goes on when the next attempt is there, or
// the delete: there is one machine in the end, or none, wherever that was.
func TestCreateGoesOn(t *testing.T) {
	t.Parallel()
	for what, after := range map[string]func(*hyperv.Driver) error{
		"create": func(d *hyperv.Driver) error { _, err := d.Create(t.Context(), strandedSpec()); return err },
		"delete": func(d *hyperv.Driver) error { return d.Delete(t.Context(), "m-1") },
	} {
		h := sim.New(sim.Options{})
		d := ready(t, h, "stranded")
		before := h.Left()
		for n := 1; ; n++ {
			goOn, ok := stranded(t, h, d, n)
			if !ok {
				break
			}
			ended := make(chan error, 1)
			go func() { ended <- after(d) }()
			awaitAny(t, h, "create", "delete")
			goOn()
			if err := <-ended; err != nil {
				t.Fatalf("%s after a cut at change %d: %v", what, n, err)
			}
			if what == "create" {
				oneMachine(t, h, d, n)
			}
			if err := d.Delete(t.Context(), "m-1"); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, h.Left()); diff != "" {
				t.Fatalf("left after %s at change %d (-before +after):\n%s", what, n, diff)
			}
		}
	}
}

// oneMachine checks that there is one, which starts.
func oneMachine(t *testing.T, h *sim.Host, d *hyperv.Driver, n int) {
	t.Helper()
	if left := strings.Join(h.Left(), "\n"); strings.Count(left, "machine one ") != 1 || strings.Count(left, "disk1.vhdx") != 1 {
		t.Fatalf("after a cut at change %d there is\n%s", n, left)
	}
	if err := d.SetPower(t.Context(), "m-1", hypervisor.On, hypervisor.Graceful); err != nil {
		t.Fatalf("after a cut at change %d: %v", n, err)
	}
}

// What a driver saw may be out of date when its script begins: the script says so, and the
// driver looks again.
func TestLookIsOutOfDate(t *testing.T) {
	for script, after := range map[string]func(*hyperv.Driver) error{
		"create": func(d *hyperv.Driver) error { _, err := d.Create(t.Context(), strandedSpec()); return err },
		"delete": func(d *hyperv.Driver) error { return d.Delete(t.Context(), "m-1") },
	} {
		h := sim.New(sim.Options{})
		d := ready(t, h, "late")
		before := h.Left()
		goOn, _ := stranded(t, h, d, 2)
		arrived, release := h.Hold(script)
		ended := make(chan error, 1)
		go func() { ended <- after(d) }()
		<-arrived
		goOn()
		release()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", script, err)
		}
		if script == "create" {
			oneMachine(t, h, d, 2)
		} else if diff := cmp.Diff(before, h.Left()); diff != "" {
			t.Errorf("left (-before +after):\n%s", diff)
		}
	}
}

// What does not end is waited for only so long.
func TestPatience(t *testing.T) {
	h := sim.New(sim.Options{})
	c := config(t, h, "patience")
	c.Patience = 20 * time.Millisecond
	d := opened(t, c)
	if err := d.EnsureImage(t.Context(), image(t), nil); err != nil {
		t.Fatal(err)
	}
	goOn, _ := stranded(t, h, d, 3)
	_, again := d.Create(t.Context(), spec("m-1", "one"))
	for what, err := range map[string]error{"create": again, "delete": d.Delete(t.Context(), "m-1")} {
		if !errors.Is(err, inventory.ErrBusy) || !strings.Contains(err.Error(), "still at work") {
			t.Errorf("%s: %v", what, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Delete(ctx, "m-1"); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that ended: %v", err)
	}
	goOn()
	if err := d.Delete(t.Context(), "m-1"); err != nil {
		t.Error(err)
	}
}

// Two fetches of one image are not at once: one whose connection broke goes on.
func TestFetchIsLocked(t *testing.T) {
	h := sim.New(sim.Options{})
	d := open(t, h, "fetch")
	goOn := h.Strand(2)
	if err := d.EnsureImage(t.Context(), image(t), nil); !errors.Is(err, sim.ErrCut) {
		t.Fatal(err)
	}
	h.Forget()
	ended := make(chan error, 1)
	go func() { ended <- d.EnsureImage(t.Context(), image(t), nil) }()
	await(t, h, "pull", 3)
	goOn()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if left := h.Left(); len(left) != 1 || left[0] != "file "+imagePath() {
		t.Errorf("left %q", left)
	}
}

// unsteady is a runner whose scripts of one name do not start, some times.
type unsteady struct {
	*sim.Host
	script string
	times  int
}

func (u *unsteady) Run(ctx context.Context, s powershell.Script, request []byte) ([]byte, error) {
	if s.Name == u.script && u.times > 0 {
		u.times--
		return nil, fmt.Errorf("the shell was gone: %w: %w", powershell.ErrNotStarted, inventory.ErrBusy)
	}
	return u.Host.Run(ctx, s, request)
}

// A change that surely did not run is tried once more at once.
func TestNotStarted(t *testing.T) {
	for times, fails := range map[int]bool{1: false, 2: true} {
		h := sim.New(sim.Options{})
		ready(t, h, "unsteady")
		c := config(t, h, "unsteady")
		c.Runner = &unsteady{h, "create", times}
		_, err := opened(t, c).Create(t.Context(), spec("m-1", "one"))
		if (err != nil) != fails || fails && !errors.Is(err, inventory.ErrBusy) {
			t.Errorf("%d times: %v", times, err)
		}
	}
}
