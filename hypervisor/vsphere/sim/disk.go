package sim

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vmdk"
)

// disks are the disks among devices.
func disks(devices []types.BaseVirtualDevice) []*types.VirtualDisk {
	var found []*types.VirtualDisk
	for _, d := range devices {
		if disk, ok := d.(*types.VirtualDisk); ok {
			found = append(found, disk)
		}
	}
	return found
}

func flat(d *types.VirtualDisk) *types.VirtualDiskFlatVer2BackingInfo {
	b, _ := d.Backing.(*types.VirtualDiskFlatVer2BackingInfo)
	return b
}

func fileOf(d *types.VirtualDisk) string {
	if b := flat(d); b != nil {
		return b.FileName
	}
	return ""
}

func unit(d *types.VirtualDisk) int32 {
	if d.UnitNumber == nil {
		return -1
	}
	return *d.UnitNumber
}

// at is the disk in the place of another one.
func at(all []*types.VirtualDisk, like *types.VirtualDisk) *types.VirtualDisk {
	for _, d := range all {
		if d.ControllerKey == like.ControllerKey && unit(d) == unit(like) {
			return d
		}
	}
	return nil
}

// chain is the files a disk stands on, its own first.
func chain(d *types.VirtualDisk) []string {
	var files []string
	for b := flat(d); b != nil; b = b.Parent {
		files = append(files, b.FileName)
	}
	return files
}

func independent(d *types.VirtualDisk) bool {
	b := flat(d)
	return b == nil || strings.HasPrefix(b.DiskMode, "independent")
}

// delta puts a disk on top of its backing, in a new file.
func (s *Server) delta(d *types.VirtualDisk) types.BaseMethodFault {
	under := *flat(d)
	over := under
	for n := 1; ; n++ {
		base := strings.TrimSuffix(under.FileName, ".vmdk")
		if i := strings.LastIndex(base, "-0"); i > 0 && len(base)-i == 7 {
			base = base[:i]
		}
		over.FileName = fmt.Sprintf("%s-%06d.vmdk", base, n)
		if _, err := os.Stat(s.file(over.FileName)); os.IsNotExist(err) {
			break
		}
	}
	over.Parent, over.Uuid = &under, under.Uuid
	d.Backing = &over
	return s.describe(over.FileName, d.CapacityInBytes)
}

// describe writes a disk's descriptor.
func (s *Server) describe(name string, size int64) types.BaseMethodFault {
	f, err := os.Create(s.file(name))
	if err != nil {
		return &types.CannotCreateFile{FileFault: types.FileFault{File: name}}
	}
	defer f.Close()
	if err := vmdk.NewDescriptor(vmdk.Extent{Size: size / vmdk.SectorSize, Info: path.Base(simulator.VirtualDiskBackingFileName(name))}).Write(f); err != nil {
		return &types.CannotCreateFile{FileFault: types.FileFault{File: name}}
	}
	return nil
}

// removeDisk removes a disk's two files.
func (s *Server) removeDisk(name string) {
	file := s.file(name)
	os.Remove(file)
	os.Remove(simulator.VirtualDiskBackingFileName(file))
}

// removeMachine removes the files of a machine: its disks and what it has in its own
// directory, and that when nothing else is in it. Files that are not a machine's stay,
// and so do the disks that a linked clone stands on.
func (s *Server) removeMachine(config *types.VirtualMachineConfigInfo, others ...*types.VirtualMachineConfigInfo) {
	dir := path.Dir(datastorePath(config.Files.VmPathName).Path)
	for _, c := range append(others, config) {
		for _, d := range disks(c.Hardware.Device) {
			for i, file := range chain(d) {
				if i == 0 || path.Dir(datastorePath(file).Path) == dir {
					s.removeDisk(file)
				}
			}
		}
	}
	own := filepath.Dir(s.file(config.Files.VmPathName))
	for _, pattern := range []string{"*.vmx", "*.nvram", "*.vmsn", "*.vmsd", "vmware*.log"} {
		files, _ := filepath.Glob(filepath.Join(own, pattern))
		for _, f := range files {
			os.Remove(f)
		}
	}
	os.Remove(own)
}
