package fleet

import (
	"context"
	"fmt"

	"ingot/hypervisor"
	"ingot/inventory"
)

// deploy makes the machine that the order is for, and starts it.
func (f *Fleet) deploy(ctx context.Context, j *job) error {
	j.step = "place"
	image, err := f.image(ctx, j.m.Spec.ImageDigest)
	if err != nil {
		return err
	}
	golden, err := f.cfg.Image(ctx, image)
	if err != nil {
		return err
	}
	if err := f.place(ctx, j, golden); err != nil {
		return err
	}
	j.step = "connect"
	c, err := f.connect(ctx, j.m.Spec.VM.Host)
	if err != nil {
		return err
	}
	done, err := c.enter(ctx)
	if err != nil {
		return err
	}
	defer done()
	if err := f.clear(ctx, j, c); err != nil {
		return err
	}
	j.step = "image"
	if err := c.driver.EnsureImage(ctx, golden, j.progress(ctx)); err != nil {
		return fmt.Errorf("bring image %s to host %s: %w", image.Name, c.host.Name, err)
	}
	return f.make(ctx, j, c, golden)
}

// clear deletes what an older order made.
func (f *Fleet) clear(ctx context.Context, j *job, c *connection) error {
	j.step = "clear"
	if vm := j.m.Status.VM; vm == nil || vm.Generation == j.m.Spec.Generation {
		return nil
	}
	if err := c.driver.Delete(ctx, j.m.ID); err != nil {
		return fmt.Errorf("delete what order %d made: %w", j.m.Status.VM.Generation, err)
	}
	return j.edit(ctx, func(m *inventory.Machine) { m.Status.VM = nil }, inventory.VMGone{Host: c.host.Name})
}

// make creates the machine and starts it.
func (f *Fleet) make(ctx context.Context, j *job, c *connection, image hypervisor.Image) error {
	j.step = "create"
	spec, err := specOf(j.m, c.host, image)
	if err != nil {
		return err
	}
	if !j.m.Status.FirstBootNone {
		if spec.Seed, err = f.cfg.Seed(ctx, j.m, c.host, c.driver); err != nil {
			return fmt.Errorf("make seed: %w", err)
		}
	}
	plan, err := c.driver.Plan(ctx, spec)
	if err != nil {
		return err
	}
	begun := f.cfg.Now()
	vm, err := c.driver.Create(ctx, spec)
	if err != nil {
		return err
	}
	status := &inventory.VMStatus{Generation: j.m.Spec.Generation, UUID: vm.UUID, Clone: string(vm.Clone), Why: plan.Why}
	made := inventory.VMMade{Host: c.host.Name, UUID: vm.UUID, Clone: string(vm.Clone), Why: plan.Why, Duration: f.cfg.Now().Sub(begun)}
	if err := j.edit(ctx, func(m *inventory.Machine) { m.Status.VM, m.Status.Firmware = status, vm.Firmware }, made); err != nil {
		return err
	}
	j.step = "start"
	return c.driver.SetPower(ctx, j.m.ID, hypervisor.On, hypervisor.Graceful)
}

// remove deletes the machine at its host.
func (f *Fleet) remove(ctx context.Context, j *job) error {
	j.step = "delete"
	host := j.m.Spec.VM.Host
	if host == inventory.AnyHost {
		return nil // it was never placed
	}
	c, err := f.connect(ctx, host)
	if err != nil {
		return err
	}
	done, err := c.enter(ctx)
	if err != nil {
		return err
	}
	defer done()
	if err := c.driver.Delete(ctx, j.m.ID); err != nil {
		return fmt.Errorf("delete on host %s: %w", host, err)
	}
	return j.edit(ctx, func(m *inventory.Machine) { m.Status.VM = nil }, inventory.VMGone{Host: host})
}

// specOf is a machine in a driver's words, without its seed.
func specOf(m *inventory.Machine, host inventory.Host, image hypervisor.Image) (hypervisor.Spec, error) {
	v := m.Spec.VM
	spec := hypervisor.Spec{ID: m.ID, Name: m.Name, CPUs: v.CPUs, MemoryBytes: v.MemoryBytes, Image: image.Digest, ImageBytes: image.SizeBytes, SecureBoot: v.SecureBoot, TPM: v.TPM}
	asked := v.Firmware
	if v.SecureBoot && asked == "" {
		asked = inventory.FirmwareUEFI
	}
	var err error
	if spec.Firmware, err = image.Mode(asked, v.SecureBoot); err != nil {
		return spec, err
	}
	for _, size := range v.DiskBytes {
		spec.Disks = append(spec.Disks, hypervisor.DiskSpec{SizeBytes: size})
	}
	for _, n := range v.NICs {
		network := n.Network
		if network == "" {
			network = host.Network
		}
		spec.NICs = append(spec.NICs, hypervisor.NICSpec{MAC: n.MAC, Network: network, VLAN: n.VLAN})
	}
	return spec, spec.Check()
}
