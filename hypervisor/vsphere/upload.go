package vsphere

import (
	"context"
	"errors"
	"fmt"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"ingot/hypervisor"
	"ingot/inventory"
)

// EnsureImage implements hypervisor.Driver. An image counts when its marker is set, which
// is the last thing done; what was left by an upload that was cut is cleared first. One
// driver sends a digest once at a time; two programs of one owner would clear each other's.
func (d *Driver) EnsureImage(ctx context.Context, img hypervisor.Image, progress func(hypervisor.Progress)) error {
	if img.Digest == "" || img.SizeBytes <= 0 || img.SizeBytes%diskStep != 0 {
		return inventory.Invalid("image %q of %d bytes (want a digest, and a multiple of 1 KiB)", img.Digest, img.SizeBytes)
	}
	release, err := d.uploads.Take(ctx, img.Digest)
	if err != nil {
		return err
	}
	defer release()
	all, err := d.allImages(ctx)
	if err != nil {
		return err
	}
	name := imageName(d.config.Owner, img.Digest)
	for _, m := range all {
		if note(m, keyReady) == img.Digest {
			return nil
		}
		if m.Name == name && note(m, keyReady) == "" {
			if err := d.destroy(ctx, m); err != nil {
				return fmt.Errorf("clear half image: %w", err)
			}
		}
	}
	artefact, err := img.Open(ctx, hypervisor.VMDK)
	if err != nil {
		return fmt.Errorf("open image %s: %w", img.Name, err)
	}
	err = d.send(ctx, img, artefact, name, progress)
	return errors.Join(err, artefact.Content.Close())
}

// send imports an image, and clears what is left when that fails.
func (d *Driver) send(ctx context.Context, img hypervisor.Image, a hypervisor.Artefact, name string, progress func(hypervisor.Progress)) error {
	if err := checkStream(a.Content); err != nil {
		return fmt.Errorf("image %s: %w", img.Name, err)
	}
	vm, err := d.importVM(ctx, img, a, name, progress)
	if err == nil {
		err = d.makeBase(ctx, vm, img)
	}
	if err == nil {
		return nil
	}
	long, cancel := linger(ctx)
	defer cancel()
	if folder, err := d.images(long, false); err == nil {
		if left, err := d.child(long, folder, name); err == nil && left != nil {
			vm = *left
		}
	}
	if vm.Value != "" {
		m := named(vm, name)
		if err := d.destroy(long, m); err != nil {
			d.log.Warn("half an image is left", "machine", name, "err", err)
		}
	}
	return fmt.Errorf("send image %s: %w", img.Name, err)
}

// importVM makes the machine of an image and sends its disk.
func (d *Driver) importVM(ctx context.Context, img hypervisor.Image, a hypervisor.Artefact, name string, progress func(hypervisor.Progress)) (types.ManagedObjectReference, error) {
	var none types.ManagedObjectReference
	folder, err := d.images(ctx, true)
	if err != nil {
		return none, err
	}
	spec, item, err := d.importSpec(ctx, img, a, name)
	if err != nil {
		return none, err
	}
	pool := *d.place.compute.ResourcePool
	res, err := methods.ImportVApp(ctx, d.client, &types.ImportVApp{This: pool, Spec: spec, Folder: &folder})
	if err != nil {
		return none, translate("import "+name, err)
	}
	l := lease{driver: d, ref: res.Returnval}
	vm, err := l.receive(ctx, item, a, progress)
	if err != nil {
		l.abort(ctx, err)
		return vm, err
	}
	return vm, nil
}

// importSpec turns the OVF descriptor into the server's request.
func (d *Driver) importSpec(ctx context.Context, img hypervisor.Image, a hypervisor.Artefact, name string) (*types.VirtualMachineImportSpec, types.OvfFileItem, error) {
	var none types.OvfFileItem
	ovf, err := diskOVF{Name: name, Bytes: a.SizeBytes, Capacity: img.SizeBytes}.descriptor()
	if err != nil {
		return nil, none, err
	}
	mode, err := img.Mode("", false)
	if err != nil {
		return nil, none, err
	}
	res, err := methods.CreateImportSpec(ctx, d.client, &types.CreateImportSpec{This: *d.client.ServiceContent.OvfManager, OvfDescriptor: ovf,
		ResourcePool: *d.place.compute.ResourcePool, Datastore: d.place.datastore.Self,
		Cisp: &types.OvfCreateImportSpecParams{EntityName: name, DiskProvisioning: string(types.OvfCreateImportSpecParamsDiskProvisioningTypeThin)}})
	if err != nil {
		return nil, none, translate("check OVF descriptor", err)
	}
	for _, w := range res.Returnval.Warning {
		d.log.Warn("OVF descriptor", "image", img.Digest, "warning", w.LocalizedMessage)
	}
	for _, e := range res.Returnval.Error {
		return nil, none, translate("check OVF descriptor", taskError{&e})
	}
	spec, ok := res.Returnval.ImportSpec.(*types.VirtualMachineImportSpec)
	if !ok || len(res.Returnval.FileItem) != 1 {
		return nil, none, fmt.Errorf("check OVF descriptor: server wants %d files, want 1 of a machine: %w", len(res.Returnval.FileItem), inventory.ErrUnsupported)
	}
	spec.ConfigSpec.Firmware = firmwareOf(mode)
	spec.ConfigSpec.Annotation = "Image " + img.Name + " (" + img.Digest + "). Linked clones stand on it: leave it off and unchanged."
	spec.ConfigSpec.ExtraConfig = append(spec.ConfigSpec.ExtraConfig, &types.OptionValue{Key: keyOwner, Value: d.config.Owner})
	return spec, res.Returnval.FileItem[0], nil
}

// makeBase makes an image out of an imported machine: snapshot, then marker.
func (d *Driver) makeBase(ctx context.Context, vm types.ManagedObjectReference, img hypervisor.Image) error {
	m := named(vm, "")
	if err := d.object(ctx, vm, vmPaths, &m); err != nil {
		return translate("read imported machine", err)
	}
	if disks := disksOf(m); len(disks) != 1 || sizeOf(disks[0]) != img.SizeBytes {
		return fmt.Errorf("imported machine has not one disk of %d bytes: %w", img.SizeBytes, inventory.ErrConflict)
	}
	if d.client.IsVC() {
		if err := d.snapshot(ctx, vm, baseName); err != nil {
			return err
		}
	}
	return d.reconfigure(ctx, vm, types.VirtualMachineConfigSpec{ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: keyReady, Value: img.Digest}}})
}
