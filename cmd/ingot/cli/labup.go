package cli

import (
	"fmt"
	"net/netip"

	"github.com/spf13/cobra"

	"ingot/hypervisor/qemu"
	"ingot/inventory"
	"ingot/pxe/lab"
)

// labFlags are what ingot lab up makes machines of.
type labFlags struct {
	dir, name, address string
	firmware           []string
	disk, diskSize     string
	nic                string
	sector, memory     int
	count              int
	on                 bool
}

func (a *app) labUp(dir *string) *cobra.Command {
	var l labFlags
	cmd := &cobra.Command{Use: "up", Short: "Set up the rack: a namespace, a bridge, and machines that are off", Args: none(),
		Long: `Set up the rack: a network namespace with a bridge, and machines that are off. Run the
server in the namespace:

  ip netns exec NAMESPACE ingot serve --interface rack --dhcp authoritative`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l.dir = *dir
			spec, err := l.spec()
			if err != nil {
				return err
			}
			rack, err := lab.Up(cmd.Context(), l.dir, spec)
			if err != nil {
				return err
			}
			for _, m := range rack.Spec().Machines {
				if !l.on {
					break
				}
				if err := rack.Power(cmd.Context(), m.Name, lab.On); err != nil {
					return err
				}
			}
			return a.labTable(rack)
		}}
	f := cmd.Flags()
	f.StringVar(&l.name, "name", "lab", "name of the rack; namespaces get theirs from it")
	f.StringVar(&l.address, "address", "10.66.0.1/24", "address of the bridge, where the server is")
	f.StringSliceVar(&l.firmware, "firmware", []string{"bios", "uefi"}, "firmware of the machines: bios, uefi, uefi-http, secureboot")
	f.StringVar(&l.disk, "disk", "virtio", "disk bus: virtio, scsi, sata, nvme, megasas-gen2, pvscsi, mptsas1068")
	f.StringVar(&l.diskSize, "disk-size", "8GiB", "size of each disk")
	f.IntVar(&l.sector, "sector", 512, "logical sector size of the disks: 512 or 4096")
	f.StringVar(&l.nic, "nic", "virtio", "network card: virtio, e1000e, vmxnet3")
	f.IntVar(&l.memory, "memory", 2048, "memory of each machine in MiB")
	f.IntVar(&l.count, "count", 1, "machines of each firmware")
	f.BoolVar(&l.on, "on", false, "switch the machines on")
	return cmd
}

func (l labFlags) spec() (lab.Spec, error) {
	address, err := netip.ParsePrefix(l.address)
	if err != nil {
		return lab.Spec{}, usage("--address %q (want ADDRESS/BITS)", l.address)
	}
	size, err := inventory.ParseBytes(l.diskSize)
	if err != nil {
		return lab.Spec{}, usageError{err}
	}
	if l.count < 1 {
		return lab.Spec{}, usage("--count %d (want 1 or more)", l.count)
	}
	spec := lab.Spec{Name: l.name, Networks: []lab.Network{{Name: "rack", Address: address}}}
	for _, fw := range l.firmware {
		for i := range l.count {
			name := fw
			if l.count > 1 {
				name = fmt.Sprintf("%s-%d", fw, i+1)
			}
			spec.Machines = append(spec.Machines, lab.Machine{Name: name, Firmware: qemu.Firmware(fw), MemoryMiB: l.memory,
				Disks: []lab.Disk{{Bus: qemu.Bus(l.disk), SizeBytes: size, SectorBytes: l.sector}},
				NICs:  []lab.NIC{{Network: "rack", Model: qemu.NICModel(l.nic)}}})
		}
	}
	return spec, nil
}
