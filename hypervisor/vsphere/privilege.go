package vsphere

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"ingot/hypervisor"
)

// What the login must be allowed to do where (vSphere Security, "Defined Privileges").
var (
	onFolder = []string{
		"Folder.Create", "VirtualMachine.Inventory.Create", "VirtualMachine.Inventory.CreateFromExisting", "VirtualMachine.Inventory.Delete",
		"VirtualMachine.Config.AddNewDisk", "VirtualMachine.Config.AddExistingDisk", "VirtualMachine.Config.AddRemoveDevice",
		"VirtualMachine.Config.AdvancedConfig", "VirtualMachine.Config.CPUCount", "VirtualMachine.Config.Memory", "VirtualMachine.Config.DiskExtend",
		"VirtualMachine.Config.EditDevice", "VirtualMachine.Config.RemoveDisk", "VirtualMachine.Config.Settings", "VirtualMachine.Config.Annotation",
		"VirtualMachine.Interact.PowerOn", "VirtualMachine.Interact.PowerOff", "VirtualMachine.Provisioning.Clone",
		"VirtualMachine.State.CreateSnapshot", "VirtualMachine.State.RevertToSnapshot", "VirtualMachine.State.RemoveSnapshot",
	}
	onPool      = []string{"Resource.AssignVMToPool", "VApp.Import"}
	onDatastore = []string{"Datastore.AllocateSpace", "Datastore.Browse", "Datastore.FileManagement", "Datastore.DeleteFile"}
	onNetwork   = []string{"Network.Assign"}
	onTPM       = []string{"Cryptographer.EncryptNew", "Cryptographer.Clone"}
)

// checkPrivileges names the privileges that the login lacks.
func (d *Driver) checkPrivileges(ctx context.Context) hypervisor.Finding {
	ask := []struct {
		on    types.ManagedObjectReference
		privs []string
	}{{d.place.datacenter.VmFolder, onFolder}, {*d.place.compute.ResourcePool, onPool}, {d.place.datastore.Self, onDatastore}}
	if d.can.TPM {
		ask[0].privs = slices.Concat(onFolder, onTPM)
	}
	for _, n := range d.place.compute.Network {
		ask = append(ask, struct {
			on    types.ManagedObjectReference
			privs []string
		}{n, onNetwork})
	}
	key, _ := d.session.key.Load().(string)
	var missing []string
	for _, a := range ask {
		res, err := methods.HasPrivilegeOnEntities(ctx, d.client, &types.HasPrivilegeOnEntities{
			This: *d.client.ServiceContent.AuthorizationManager, Entity: []types.ManagedObjectReference{a.on}, SessionId: key, PrivId: a.privs})
		if err != nil {
			return hypervisor.Finding{What: "privileges", Level: hypervisor.Warning, Detail: translate("ask for privileges", err).Error(), Try: "compare the login's role with the documentation"}
		}
		for _, e := range res.Returnval {
			for _, p := range e.PrivAvailability {
				if !p.IsGranted {
					missing = append(missing, fmt.Sprintf("%s on %s", p.PrivId, a.on.Value))
				}
			}
		}
	}
	if len(missing) > 0 {
		return failed("privileges", fmt.Errorf("the login lacks: %s", strings.Join(missing, ", ")), "add them to a role of the login")
	}
	return fine("privileges", "the login has all it needs")
}
