package vsphere

import (
	"context"
	"fmt"
	"strings"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"ingot/inventory"
)

// place is where a driver works.
type place struct {
	datacenter mo.Datacenter
	// path is the datacenter's in the inventory, for datastore URLs.
	path      string
	compute   mo.ComputeResource
	datastore mo.Datastore
}

// locate finds datacenter, cluster or host, and datastore.
func (d *Driver) locate(ctx context.Context, t target) error {
	var datacenters []mo.Datacenter
	if err := d.below(ctx, d.client.ServiceContent.RootFolder, "Datacenter", []string{"name", "vmFolder", "hostFolder", "datastoreFolder"}, &datacenters); err != nil {
		return translate("list datacenters", err)
	}
	dc, err := choose("datacenter", t.datacenter, datacenters, func(dc mo.Datacenter) string { return dc.Name })
	if err != nil {
		return err
	}
	var computes []mo.ComputeResource
	if err := d.below(ctx, dc.HostFolder, "ComputeResource", []string{"name", "resourcePool", "datastore", "network", "host", "summary"}, &computes); err != nil {
		return translate("list clusters and hosts", err)
	}
	compute, err := choose("cluster or host", t.compute, computes, func(c mo.ComputeResource) string { return c.Name })
	if err != nil {
		return err
	}
	if compute.ResourcePool == nil {
		return fmt.Errorf("cluster or host %s has no resource pool: %w", compute.Name, inventory.ErrUnsupported)
	}
	var datastores []mo.Datastore
	if err := d.objects(ctx, compute.Datastore, "Datastore", []string{"name", "summary", "browser"}, &datastores); err != nil {
		return translate("list datastores", err)
	}
	datastore, err := choose("datastore", d.config.Datastore, datastores, func(ds mo.Datastore) string { return ds.Name })
	if err != nil {
		return err
	}
	path, err := find.InventoryPath(ctx, d.client, dc.Self)
	d.place = place{dc, path, compute, datastore}
	return translate("find datacenter", err)
}

// choose picks the one of a name, or the only one when no name was given. Anything else is
// an error that names the choices.
func choose[T any](what, name string, all []T, nameOf func(T) string) (T, error) {
	var names []string
	var found []T
	for _, x := range all {
		names = append(names, unescape(nameOf(x)))
		if name == "" || names[len(names)-1] == name {
			found = append(found, x)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	var none T
	choices := strings.Join(names, ", ")
	switch {
	case len(all) == 0:
		return none, fmt.Errorf("no %s at the server, or none that the login may see: %w", what, inventory.ErrNotFound)
	case name == "":
		return none, inventory.Invalid("which %s? There are: %s", what, choices)
	case len(found) == 0:
		return none, fmt.Errorf("no %s %q; there are: %s: %w", what, name, choices, inventory.ErrNotFound)
	}
	return none, inventory.Conflict("%d of name %q are a %s; there are: %s", len(found), name, what, choices)
}

// machines is the folder of the machines, images that of the images. ESXi has one for all.
func (d *Driver) machines(ctx context.Context, make bool) (types.ManagedObjectReference, error) {
	return d.folder(ctx, make, d.config.Folder)
}

func (d *Driver) images(ctx context.Context, make bool) (types.ManagedObjectReference, error) {
	return d.folder(ctx, make, d.config.Folder, "images")
}

// folder finds a folder below the datacenter's, and makes it when told to; without it, it
// is the last one that is there.
func (d *Driver) folder(ctx context.Context, make bool, names ...string) (types.ManagedObjectReference, error) {
	at := d.place.datacenter.VmFolder
	if !d.client.IsVC() {
		return at, nil
	}
	for _, name := range names {
		child, err := d.child(ctx, at, name)
		if err != nil {
			return at, err
		}
		if child == nil && !make {
			return at, nil
		}
		if child == nil {
			if child, err = d.makeFolder(ctx, at, name); err != nil {
				return at, err
			}
		}
		at = *child
	}
	return at, nil
}

// makeFolder makes one, or finds the one that somebody else made just now.
func (d *Driver) makeFolder(ctx context.Context, at types.ManagedObjectReference, name string) (*types.ManagedObjectReference, error) {
	res, err := methods.CreateFolder(ctx, d.client, &types.CreateFolder{This: at, Name: name})
	var there *types.DuplicateName
	if asFault(err, &there) {
		return &there.Object, nil
	}
	if err != nil {
		return nil, translate("make folder "+name, err)
	}
	return &res.Returnval, nil
}

// child finds what has a name in a folder; nil when there is none.
func (d *Driver) child(ctx context.Context, at types.ManagedObjectReference, name string) (*types.ManagedObjectReference, error) {
	res, err := methods.FindChild(ctx, d.client, &types.FindChild{This: *d.client.ServiceContent.SearchIndex, Entity: at, Name: name})
	if err != nil {
		return nil, translate("look for "+name, err)
	}
	return res.Returnval, nil
}
