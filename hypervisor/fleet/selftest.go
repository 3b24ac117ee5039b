package fleet

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ingot/hypervisor"
	"ingot/inventory"
)

// TestStep is one step of a self-test, as it came out.
type TestStep struct {
	// What was done; Detail is what came of it.
	What, Detail string
	Took         time.Duration
	// Err is why it failed.
	Err error
}

// A self-test's machines are found by their IDs, so that what a test left that was cut is
// taken away by the next.
const (
	testPrefix = "selftest-"
	// testMemoryBytes: vSphere wants 96 MiB with UEFI.
	testMemoryBytes = 128 << 20
	testDiskBytes   = 64 << 20
	// testStepTime is how long one step may take, testEndTime the clearing away;
	// testImageTime is for an image, which is converted, sent and perhaps large.
	testStepTime  = 2 * time.Minute
	testEndTime   = 2 * time.Minute
	testImageTime = time.Hour
)

// SelfTest makes and removes a small machine on a host, step by step, and tells each. After
// a step that failed there is at most one more: what was made is deleted whatever happens.
// image may be nil: the machine has an empty disk then. The error is that the test could
// not begin, or that it failed.
func (f *Fleet) SelfTest(ctx context.Context, name string, image *inventory.Image, tell func(TestStep)) error {
	c, err := f.connect(ctx, name)
	if err != nil {
		return err
	}
	turn := f.slotOf(name).testing
	if !turn.TryAcquire(1) {
		return fmt.Errorf("host %s is being tested already: %w", name, inventory.ErrBusy)
	}
	defer turn.Release(1)
	t := &selfTest{driver: c.driver, tell: tell, now: f.cfg.Now}
	if t.spec, err = f.testSpec(ctx, c, image, t); err != nil {
		return err
	}
	err = t.run(ctx)
	if !t.making {
		return err // there is nothing to delete
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), testEndTime)
	defer cancel()
	return errors.Join(err, t.step(end, "delete", t.remove))
}

// testSpec is the machine: the least that every host makes.
func (f *Fleet) testSpec(ctx context.Context, c *connection, image *inventory.Image, t *selfTest) (hypervisor.Spec, error) {
	id := strings.ToLower(testPrefix + rand.Text()[:8])
	mac := inventory.NewVM(id, inventory.VMSpec{NICs: make([]inventory.VMNIC, 1)}, t.now()).Spec.VM.NICs[0].MAC
	s := hypervisor.Spec{ID: id, Name: "ingot-" + id, CPUs: 1, MemoryBytes: testMemoryBytes, Disks: []hypervisor.DiskSpec{{SizeBytes: testDiskBytes}},
		NICs: []hypervisor.NICSpec{{MAC: mac, Network: c.host.Network}}, Firmware: inventory.FirmwareBIOS}
	if c.driver.Capabilities().UEFI {
		s.Firmware = inventory.FirmwareUEFI
	}
	if image == nil {
		return s, nil
	}
	golden, err := f.cfg.Image(ctx, *image)
	if err != nil {
		return s, err
	}
	t.image, s.Image, s.ImageBytes, s.Disks[0].SizeBytes = &golden, golden.Digest, golden.SizeBytes, 0
	s.Firmware, err = golden.Mode("", false)
	return s, err
}

// selfTest is one under way.
type selfTest struct {
	driver hypervisor.Driver
	image  *hypervisor.Image
	spec   hypervisor.Spec
	tell   func(TestStep)
	now    func() time.Time
	// making: a machine may be there.
	making bool
}

// step does one thing and tells of it.
func (t *selfTest) step(ctx context.Context, what string, do func(context.Context) (string, error)) error {
	began := t.now()
	detail, err := do(ctx)
	t.tell(TestStep{What: what, Detail: detail, Took: t.now().Sub(began), Err: err})
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// run goes through what the driver can do.
func (t *selfTest) run(ctx context.Context) error {
	for _, s := range t.steps() {
		if err := t.within(ctx, cmp.Or(s.limit, testStepTime), s); err != nil {
			return err
		}
	}
	return nil
}

func (t *selfTest) within(ctx context.Context, limit time.Duration, s testStep) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return t.step(ctx, s.what, s.do)
}

type testStep struct {
	what string
	do   func(context.Context) (string, error)
	// limit is how long it may take, 0 is testStepTime.
	limit time.Duration
}

func (t *selfTest) steps() []testStep {
	steps := []testStep{{what: "check the host", do: t.check}, {what: "clear what an earlier test left", do: t.clear}}
	if t.image != nil {
		steps = append(steps, testStep{"bring the image", t.bring, testImageTime})
	}
	steps = append(steps, testStep{what: "create", do: t.create}, testStep{what: "create it again", do: t.create}, testStep{what: "find it in the list", do: t.listed},
		t.power(hypervisor.On), t.power(hypervisor.Off))
	if s, ok := t.driver.(hypervisor.Snapshotter); ok {
		steps = append(steps, t.snapshots(s)...)
	}
	if r, ok := t.driver.(hypervisor.Resizer); ok {
		steps = append(steps, t.resizes(r)...)
	}
	return append(steps, t.power(hypervisor.On))
}

func (t *selfTest) check(ctx context.Context) (string, error) {
	found, err := t.driver.Check(ctx)
	var bad []string
	for _, f := range found {
		if f.Level == hypervisor.Failed {
			bad = append(bad, f.What+": "+f.Detail)
		}
	}
	if err == nil && len(bad) > 0 {
		err = errors.New(strings.Join(bad, "; "))
	}
	caps := t.driver.Capabilities()
	return fmt.Sprintf("%s %s", caps.Product, caps.Version), err
}

// clear deletes the machines of tests that were cut.
func (t *selfTest) clear(ctx context.Context) (string, error) {
	all, err := t.driver.List(ctx)
	if err != nil {
		return "", err
	}
	all = slices.DeleteFunc(all, func(vm hypervisor.VM) bool { return !strings.HasPrefix(vm.ID, testPrefix) })
	for _, vm := range all {
		if err := t.driver.Delete(ctx, vm.ID); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d deleted", len(all)), nil
}

func (t *selfTest) bring(ctx context.Context) (string, error) {
	return t.image.Name, t.driver.EnsureImage(ctx, *t.image, nil)
}

func (t *selfTest) create(ctx context.Context) (string, error) {
	t.making = true
	vm, err := t.driver.Create(ctx, t.spec)
	if err == nil && (vm.ID != t.spec.ID || vm.CPUs != t.spec.CPUs || vm.MemoryBytes != t.spec.MemoryBytes || len(vm.Disks) != 1 || len(vm.NICs) != 1 || vm.NICs[0].MAC != t.spec.NICs[0].MAC) {
		err = fmt.Errorf("what was made is not what was asked for: %+v", vm)
	}
	return strings.Join(slices.DeleteFunc([]string{vm.UUID, string(vm.Firmware), string(vm.Clone)}, func(s string) bool { return s == "" }), ", "), err
}

func (t *selfTest) listed(ctx context.Context) (string, error) {
	all, err := t.driver.List(ctx)
	if err == nil && !slices.ContainsFunc(all, func(vm hypervisor.VM) bool { return vm.ID == t.spec.ID }) {
		err = inventory.NotFound("machine", t.spec.ID)
	}
	return fmt.Sprintf("%d there are ours", len(all)), err
}

// power switches, by force: there is no system in it, or one that has hardly booted.
func (t *selfTest) power(to hypervisor.PowerState) testStep {
	return testStep{what: "switch it " + string(to), do: func(ctx context.Context) (string, error) {
		if err := t.driver.SetPower(ctx, t.spec.ID, to, hypervisor.Force); err != nil {
			return "", err
		}
		vm, err := t.driver.Get(ctx, t.spec.ID)
		if err == nil && vm.Power != to {
			err = fmt.Errorf("it is %s", vm.Power)
		}
		return "", err
	}}
}

func (t *selfTest) remove(ctx context.Context) (string, error) {
	if err := t.driver.Delete(ctx, t.spec.ID); err != nil {
		return "", err
	}
	_, err := t.driver.Get(ctx, t.spec.ID)
	switch {
	case errors.Is(err, inventory.ErrNotFound):
		return "it is gone", nil
	case err == nil:
		err = errors.New("it is there still")
	}
	return "", err
}
