package sim

import (
	"fmt"

	"github.com/vmware/govmomi/vim25/types"
)

// SetTools starts or stops the guest tools of a machine, by its instance UUID.
func (s *Server) SetTools(uuid string, run bool) { s.tools.Store(uuid, run) }

// SetAddresses has the guest tools of a machine tell these addresses of its first NIC.
func (s *Server) SetAddresses(uuid string, addresses ...string) error {
	vm, ctx := s.byUUID(uuid), s.context()
	if vm == nil {
		return fmt.Errorf("no machine %s", uuid)
	}
	s.SetTools(uuid, true)
	ctx.WithLock(vm, func() {
		for _, d := range vm.Config.Hardware.Device {
			if card, ok := d.(types.BaseVirtualEthernetCard); ok {
				ctx.Update(vm, []types.PropertyChange{{Name: "guest.net", Val: []types.GuestNicInfo{{
					MacAddress: card.GetVirtualEthernetCard().MacAddress, IpAddress: addresses, Connected: true}}}})
				return
			}
		}
	})
	return nil
}

// SetCPUs changes a machine behind its owner's back.
func (s *Server) SetCPUs(uuid string, n int32) error {
	vm := s.byUUID(uuid)
	if vm == nil {
		return fmt.Errorf("no machine %s", uuid)
	}
	if fault := s.reconfigure(s.context(), vm, types.VirtualMachineConfigSpec{NumCPUs: n}); fault != nil {
		return fmt.Errorf("change machine %s: %T", uuid, fault)
	}
	return nil
}
