package libvirt

import (
	"context"
	"fmt"

	lv "github.com/digitalocean/go-libvirt"

	"ingot/hypervisor"
	"ingot/inventory"
)

// Plan implements hypervisor.Driver.
func (d *Driver) Plan(ctx context.Context, spec hypervisor.Spec) (hypervisor.Plan, error) {
	plan, err := d.plan(ctx, spec)
	if err != nil {
		return hypervisor.Plan{}, fmt.Errorf("plan machine %s: %w", spec.ID, err)
	}
	return plan, nil
}

func (d *Driver) plan(ctx context.Context, spec hypervisor.Spec) (plan hypervisor.Plan, err error) {
	if err := d.check(spec); err != nil {
		return plan, err
	}
	p, err := d.pool(ctx)
	if err != nil && !missing(err) {
		return plan, err
	}
	b, base, coming, err := d.plannedBuild(ctx, p, spec, err == nil)
	if err != nil {
		return plan, err
	}
	if plan.Request, err = b.xml(); err != nil {
		return plan, err
	}
	plan.Clone = hypervisor.LinkedClone
	if base.Name == "" {
		plan.Clone, plan.Why = hypervisor.FullCopy, "there is no image, the disk is empty"
	}
	if coming {
		plan.Steps = []string{fmt.Sprintf("upload image %s to %s and read it back", spec.Image, base.Key)}
	}
	plan.Steps = append(plan.Steps, b.steps(base)...)
	return plan, nil
}

// plannedBuild is build for an image that may only come, when its size is known.
func (d *Driver) plannedBuild(ctx context.Context, p pool, spec hypervisor.Spec, there bool) (b build, base lv.StorageVol, coming bool, err error) {
	if there || spec.Image == "" {
		b, base, err = d.build(ctx, p, spec)
		if !missing(err) || spec.Image == "" || spec.ImageBytes == 0 {
			return b, base, false, err
		}
	}
	stem, invalid := d.imageStem(spec.Image)
	if invalid != nil {
		return b, base, false, invalid
	}
	if spec.ImageBytes == 0 {
		return b, base, false, inventory.NotFound("image", spec.Image)
	}
	if err := notSmaller(spec, spec.ImageBytes); err != nil {
		return b, base, false, err
	}
	empty := spec
	empty.Image = ""
	if b, _, err = d.build(ctx, p, empty); err != nil {
		return b, base, false, err
	}
	b.spec.Image, b.identity.Image, b.identity.Clone = spec.Image, spec.Image, hypervisor.LinkedClone
	return b, lv.StorageVol{Name: stem + imageSuffix, Key: p.path(stem + imageSuffix)}, true, nil
}

// steps says what create does.
func (b build) steps(base lv.StorageVol) []string {
	var steps []string
	for i, file := range b.disks {
		step := fmt.Sprintf("make disk %s of %d bytes", file, b.spec.Disks[i].SizeBytes)
		switch {
		case i == 0 && base.Name != "" && b.spec.Disks[i].SizeBytes == 0:
			step = fmt.Sprintf("make disk %s, a linked clone of %s, of the same size", file, base.Key)
		case i == 0 && base.Name != "":
			step = fmt.Sprintf("make disk %s, a linked clone of %s, of %d bytes", file, base.Key, b.spec.Disks[i].SizeBytes)
		}
		steps = append(steps, step)
	}
	if b.seed != "" {
		steps = append(steps, fmt.Sprintf("upload the seed (%d bytes) to %s and read it back", len(b.spec.Seed), b.seed))
	}
	accelerator := map[bool]string{true: "KVM", false: "emulation, because no guest runs under KVM here"}[b.kvm]
	return append(steps, fmt.Sprintf("define domain %s with UUID %s, %s, with %s", b.name, b.uuid, b.spec.Firmware, accelerator))
}
