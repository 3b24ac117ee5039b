package sim

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// privileges are what methods need (vSphere Web Services API, "Required Privileges" on each
// method's page).
var privileges = map[string]string{
	"PowerOnVM_Task": "VirtualMachine.Interact.PowerOn", "PowerOffVM_Task": "VirtualMachine.Interact.PowerOff",
	"CreateSnapshot_Task": "VirtualMachine.State.CreateSnapshot", "Destroy_Task": "VirtualMachine.Inventory.Delete",
	"CloneVM_Task": "VirtualMachine.Provisioning.Clone", "CreateVM_Task": "VirtualMachine.Inventory.Create",
	"CreateFolder": "Folder.Create", "ImportVApp": "VApp.Import", "MakeDirectory": "Datastore.FileManagement",
	"DeleteDatastoreFile_Task": "Datastore.FileManagement", "SearchDatastore_Task": "Datastore.Browse",
}

// Deny takes privileges away from all logins.
func (s *Server) Deny(privilege ...string) {
	for _, p := range privilege {
		s.denied.Store(p, true)
	}
}

func (s *Server) isDenied(privilege string) bool {
	_, denied := s.denied.Load(privilege)
	return denied
}

func noPrivilege(s *Server, _ *simulator.Context, this types.ManagedObjectReference, body any) types.BaseMethodFault {
	if need := privileges[kindOf(body)]; need != "" && s.isDenied(need) {
		return &types.NoPermission{Object: &this, PrivilegeId: need}
	}
	return nil
}

// rights tells of what was denied.
type rights struct {
	*simulator.AuthorizationManager
	s *Server
}

// HasPrivilegeOnEntities grants all that was not denied.
func (r rights) HasPrivilegeOnEntities(req *types.HasPrivilegeOnEntities) soap.HasFault {
	res := new(types.HasPrivilegeOnEntitiesResponse)
	for _, e := range req.Entity {
		granted := types.EntityPrivilege{Entity: e}
		for _, p := range req.PrivId {
			granted.PrivAvailability = append(granted.PrivAvailability, types.PrivilegeAvailability{PrivId: p, IsGranted: !r.s.isDenied(p)})
		}
		res.Returnval = append(res.Returnval, granted)
	}
	return &methods.HasPrivilegeOnEntitiesBody{Res: res}
}
