package vsphere

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"ingot/hypervisor"
	"ingot/inventory"
)

// image is an image at the host: a machine that never runs.
type image struct {
	vm     mo.VirtualMachine
	digest string
	disk   *types.VirtualDisk
	// snapshot is what linked clones stand on; nil on ESXi.
	snapshot *types.ManagedObjectReference
}

// imageToCome stands for an image that is not there yet; "?" stands for what vSphere will
// name.
func imageToCome(spec hypervisor.Spec) image {
	unknown := types.ManagedObjectReference{Type: "VirtualMachine", Value: "?"}
	img := image{digest: spec.Image, snapshot: &types.ManagedObjectReference{Type: "VirtualMachineSnapshot", Value: "?"},
		disk: &types.VirtualDisk{CapacityInBytes: spec.ImageBytes}}
	img.vm.Self, img.vm.Name = unknown, "the image"
	img.vm.Config = &types.VirtualMachineConfigInfo{}
	return img
}

// toCome reports whether it is such a stand-in.
func (i image) toCome() bool { return i.vm.Self.Value == "?" }

// Images implements hypervisor.Driver.
func (d *Driver) Images(ctx context.Context) ([]string, error) {
	all, err := d.allImages(ctx)
	if err != nil {
		return nil, err
	}
	var digests []string
	for _, m := range all {
		if digest := note(m, keyReady); digest != "" {
			digests = append(digests, digest)
		}
	}
	slices.Sort(digests)
	return digests, nil
}

// allImages reads this owner's images, half ones too.
func (d *Driver) allImages(ctx context.Context) ([]mo.VirtualMachine, error) {
	folder, err := d.images(ctx, false)
	if err != nil {
		return nil, err
	}
	var all, ours []mo.VirtualMachine
	if err := d.below(ctx, folder, "VirtualMachine", append([]string{"snapshot"}, vmPaths...), &all); err != nil {
		return nil, translate("list images", err)
	}
	for _, m := range all {
		if note(m, keyOwner) == d.config.Owner && note(m, keyID) == "" && (note(m, keyReady) != "" || strings.HasPrefix(m.Name, imagePrefix)) {
			ours = append(ours, m)
		}
	}
	return ours, nil
}

// imageOf finds an image that is whole.
func (d *Driver) imageOf(ctx context.Context, digest string) (image, error) {
	all, err := d.allImages(ctx)
	if err != nil {
		return image{}, err
	}
	for _, m := range all {
		if note(m, keyReady) == digest {
			return d.asImage(m)
		}
	}
	return image{}, inventory.NotFound("image", digest)
}

func (d *Driver) asImage(m mo.VirtualMachine) (image, error) {
	found := image{vm: m, digest: note(m, keyReady)}
	disks := disksOf(m)
	if len(disks) != 1 {
		return found, fmt.Errorf("image %s: machine %s has %d disks, it was changed at the host: %w", found.digest, m.Name, len(disks), inventory.ErrConflict)
	}
	found.disk = disks[0]
	if !d.client.IsVC() {
		return found, nil
	}
	if m.Snapshot != nil {
		for _, s := range snapshotsOf(m.Snapshot.RootSnapshotList) {
			if s.Name == baseName {
				found.snapshot = &s.Snapshot
				return found, nil
			}
		}
	}
	return found, fmt.Errorf("image %s: machine %s has no snapshot %q, it was changed at the host: %w", found.digest, m.Name, baseName, inventory.ErrConflict)
}

// RemoveImage implements hypervisor.Driver. vCenter does not keep one from destroying what
// linked clones stand on, so that is looked at first.
func (d *Driver) RemoveImage(ctx context.Context, digest string) error {
	release, err := d.uploads.Take(ctx, digest)
	if err != nil {
		return err
	}
	defer release()
	all, err := d.allImages(ctx)
	if err != nil {
		return err
	}
	for _, m := range all {
		if note(m, keyReady) != digest && m.Name != imageName(d.config.Owner, digest) {
			continue
		}
		if err := d.unused(ctx, m, digest); err != nil {
			return err
		}
		if err := d.destroy(ctx, m); err != nil {
			return fmt.Errorf("remove image %s: %w", digest, err)
		}
	}
	return nil
}

// unused is ErrBusy when a disk of any machine stands on the image's.
func (d *Driver) unused(ctx context.Context, base mo.VirtualMachine, digest string) error {
	all, err := d.all(ctx, vmPaths)
	if err != nil {
		return err
	}
	files := map[string]bool{}
	for _, disk := range disksOf(base) {
		for _, file := range chainOf(disk) {
			files[file] = true
		}
	}
	for _, m := range all {
		if m.Self == base.Self {
			continue
		}
		if standsOn(m, files) || d.owns(m) && note(m, keyImage) == digest && cloneOf(m) == hypervisor.LinkedClone {
			return fmt.Errorf("image %s: machine %s is a linked clone of it: %w", digest, unescape(m.Name), inventory.ErrBusy)
		}
	}
	return nil
}

func standsOn(m mo.VirtualMachine, files map[string]bool) bool {
	for _, disk := range disksOf(m) {
		if slices.ContainsFunc(chainOf(disk)[1:], func(file string) bool { return files[file] }) {
			return true
		}
	}
	return false
}

// destroy removes a machine with its disks; one that is gone is no error.
func (d *Driver) destroy(ctx context.Context, m mo.VirtualMachine) error {
	_, err := d.run(ctx, "destroy machine "+m.Name, func(ctx context.Context) (types.ManagedObjectReference, error) {
		res, err := methods.Destroy_Task(ctx, d.client, &types.Destroy_Task{This: m.Self})
		return returned(res, err, func(r *types.Destroy_TaskResponse) types.ManagedObjectReference { return r.Returnval })
	})
	var gone *types.ManagedObjectNotFound
	if asFault(err, &gone) {
		return nil
	}
	return err
}

// returned is a task out of a response, if there is one.
func returned[R any](res *R, err error, task func(*R) types.ManagedObjectReference) (types.ManagedObjectReference, error) {
	if err != nil {
		return types.ManagedObjectReference{}, err
	}
	return task(res), nil
}
