package sim

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"ingot/hypervisor/drivertest"
)

// refusals does what each row of the table refuses, and returns the fault or HTTP status.
var refusals = map[string]func(b *bench) string{
	"a call without a session": func(b *bench) string {
		c, err := vim25.NewClient(b.ctx, soap.NewClient(b.c.URL(), true))
		b.must(err)
		var f mo.Folder
		return b.refused(property.DefaultCollector(c).RetrieveOne(b.ctx, c.ServiceContent.RootFolder, []string{"name"}, &f))
	},
	"a call after the session was idle for too long": func(b *bench) string {
		b.s.options.Idle = 30 * time.Minute
		b.s.mu.Lock()
		for key := range b.s.sessions {
			b.s.sessions[key] = time.Now().Add(-time.Hour)
		}
		b.s.mu.Unlock()
		_, err := methods.GetCurrentTime(b.ctx, b.c)
		return b.refused(err)
	},
	"a call that the login has no privilege for": func(b *bench) string {
		b.s.Deny("VirtualMachine.Interact.PowerOn")
		return b.refused(b.end(b.vm.PowerOn(b.ctx)))
	},
	"pages of less than one object": func(b *bench) string {
		_, err := methods.RetrievePropertiesEx(b.ctx, b.c, &types.RetrievePropertiesEx{This: b.c.ServiceContent.PropertyCollector, Options: types.RetrieveOptions{MaxObjects: -1}})
		return b.refused(err)
	},
	"clone on ESXi": func(b *bench) string {
		b = newBench(b.T, Options{ESX: true})
		return b.refused(b.end(b.vm.Clone(b.ctx, b.folder, "clone", types.VirtualMachineCloneSpec{})))
	},
	"folders on ESXi": func(b *bench) string {
		b = newBench(b.T, Options{ESX: true})
		_, err := b.folder.CreateFolder(b.ctx, "folder")
		return b.refused(err)
	},
	"linked clone without a snapshot": func(b *bench) string { return b.refused(b.clone("clone", nil, nil)) },
	"clone of a snapshot that is not there, or is another machine's": func(b *bench) string {
		theirs := b.snapshot(b.other)
		if got := b.refused(b.clone("clone", &theirs, nil)); got != "ManagedObjectNotFound" {
			b.Errorf("snapshot of another machine: %q", got)
		}
		return b.refused(b.clone("clone", &types.ManagedObjectReference{Type: "VirtualMachineSnapshot", Value: "snapshot-0"}, nil))
	},
	"clone of a template without a pool": func(b *bench) string {
		b.must(b.vm.MarkAsTemplate(b.ctx))
		return b.refused(b.end(b.vm.Clone(b.ctx, b.folder, "clone", types.VirtualMachineCloneSpec{})))
	},
	"larger disk in a linked clone": func(b *bench) string {
		base := b.snapshot(b.vm)
		return b.refused(b.clone("clone", &base, &types.VirtualMachineConfigSpec{DeviceChange: b.resized(b.vm, 1<<20)}))
	},
	"growing a disk that has a parent, or under snapshots": func(b *bench) string {
		b.snapshot(b.vm)
		return b.refused(b.reconfigure(b.vm, types.VirtualMachineConfigSpec{DeviceChange: b.resized(b.vm, 1<<20)}))
	},
	"shrinking a disk": func(b *bench) string {
		return b.refused(b.reconfigure(b.vm, types.VirtualMachineConfigSpec{DeviceChange: b.resized(b.vm, -1<<20)}))
	},
	"destroying a machine that others' disks link to": func(b *bench) string {
		base := b.snapshot(b.vm)
		b.must(b.clone("clone", &base, nil))
		return b.refused(b.end(b.vm.Destroy(b.ctx)))
	},
	"destroying a machine that runs": func(b *bench) string {
		b.must(b.end(b.vm.PowerOn(b.ctx)))
		return b.refused(b.end(b.vm.Destroy(b.ctx)))
	},
	"power-on of a machine that runs": func(b *bench) string {
		b.must(b.end(b.vm.PowerOn(b.ctx)))
		return b.refused(b.end(b.vm.PowerOn(b.ctx)))
	},
	"asking a guest without tools to shut down": func(b *bench) string {
		b.must(b.end(b.vm.PowerOn(b.ctx)))
		return b.refused(b.vm.ShutdownGuest(b.ctx))
	},
	"CPUs or memory of a machine that runs": func(b *bench) string {
		b.must(b.end(b.vm.PowerOn(b.ctx)))
		return b.refused(b.reconfigure(b.vm, types.VirtualMachineConfigSpec{NumCPUs: 2}))
	},
	"name of more than 80 bytes": func(b *bench) string {
		base := b.snapshot(b.vm)
		return b.refused(b.clone(strings.Repeat("n", 81), &base, nil))
	},
	"a name that the folder has": func(b *bench) string {
		spec := types.VirtualMachineConfigSpec{Name: b.vm.Name(), Files: &types.VirtualMachineFileInfo{VmPathName: "[LocalDS_0]"}}
		return b.refused(b.end(b.folder.CreateVM(b.ctx, spec, b.pool, nil)))
	},
	"guestinfo value of more than 64 KiB": func(b *bench) string {
		return b.refused(b.reconfigure(b.vm, types.VirtualMachineConfigSpec{ExtraConfig: []types.BaseOptionValue{
			&types.OptionValue{Key: "guestinfo.userdata", Value: strings.Repeat("x", 64<<10+1)}}}))
	},
	"less than 1 or more than 128 CPUs": func(b *bench) string {
		return b.refused(b.reconfigure(b.vm, types.VirtualMachineConfigSpec{NumCPUs: 129}))
	},
	"less than 4 MB or more than 6128 GB of memory": func(b *bench) string {
		return b.refused(b.reconfigure(b.vm, types.VirtualMachineConfigSpec{MemoryMB: 6132 << 10}))
	},
	"memory that is not a multiple of 4 MB": func(b *bench) string {
		return b.refused(b.reconfigure(b.vm, types.VirtualMachineConfigSpec{MemoryMB: 66}))
	},
	"power-on with UEFI and less than 96 MB": func(b *bench) string {
		b.must(b.reconfigure(b.vm, types.VirtualMachineConfigSpec{Firmware: efi, MemoryMB: 64}))
		return b.refused(b.end(b.vm.PowerOn(b.ctx)))
	},
	"more than 10 NICs": func(b *bench) string {
		var spec types.VirtualMachineConfigSpec
		for i := range 11 {
			nic := &types.VirtualVmxnet3{}
			nic.Key = int32(-1 - i)
			nic.Backing = &types.VirtualEthernetCardNetworkBackingInfo{VirtualDeviceDeviceBackingInfo: types.VirtualDeviceDeviceBackingInfo{DeviceName: "VM Network"}}
			spec.DeviceChange = append(spec.DeviceChange, added(nic).DeviceChange...)
		}
		return b.refused(b.reconfigure(b.vm, spec))
	},
	"a MAC by hand in VMware's reserved ranges": func(b *bench) string {
		got := ""
		for _, mac := range []string{"00:50:56:40:00:00", "00:0c:29:00:00:01", "01:00:5e:00:00:01"} {
			nic := &types.VirtualVmxnet3{}
			nic.AddressType, nic.MacAddress = "manual", mac
			nic.Backing = &types.VirtualEthernetCardNetworkBackingInfo{VirtualDeviceDeviceBackingInfo: types.VirtualDeviceDeviceBackingInfo{DeviceName: "VM Network"}}
			if got = b.refused(b.reconfigure(b.vm, added(nic))); got != "InvalidDeviceSpec" {
				b.Errorf("%s: %q", mac, got)
			}
		}
		return got
	},
	"Secure Boot with BIOS": func(b *bench) string {
		return b.refused(b.reconfigure(b.vm, types.VirtualMachineConfigSpec{BootOptions: &types.VirtualMachineBootOptions{EfiSecureBootEnabled: types.NewBool(true)}}))
	},
	"virtual TPM without a key provider": func(b *bench) string {
		b.must(b.reconfigure(b.vm, types.VirtualMachineConfigSpec{Firmware: efi}))
		return b.refused(b.reconfigure(b.vm, added(&types.VirtualTPM{VirtualDevice: types.VirtualDevice{Key: -1}})))
	},
	"virtual TPM with BIOS": func(b *bench) string {
		b.must(b.s.AddKeyProvider("keys"))
		return b.refused(b.reconfigure(b.vm, added(&types.VirtualTPM{VirtualDevice: types.VirtualDevice{Key: -1}})))
	},
	"attaching a disk file that is not there or short": func(b *bench) string {
		d := *b.disk(b.vm)
		d.Key, d.UnitNumber = -1, types.NewInt32(3)
		d.Backing = &types.VirtualDiskFlatVer2BackingInfo{VirtualDeviceFileBackingInfo: types.VirtualDeviceFileBackingInfo{FileName: "[LocalDS_0] nowhere/seed.vmdk"}}
		return b.refused(b.reconfigure(b.vm, added(&d)))
	},
	"upload to a directory that is not there": func(b *bench) string {
		return b.http("PUT", "https://"+b.s.Host()+"/folder/nowhere/file?dcPath=DC0&dsName=LocalDS_0", []byte("x"))
	},
	"upload without a session": func(b *bench) string {
		b.s.Expire()
		return b.http("PUT", "https://"+b.s.Host()+"/folder/file?dcPath=DC0&dsName=LocalDS_0", []byte("x"))
	},
	"import of a disk that is not streamOptimized": func(b *bench) string {
		_, url := b.lease()
		return b.http("POST", url, make([]byte, 1<<20))
	},
	"import of a disk that is cut short": func(b *bench) string {
		_, url := b.lease()
		disk := stream(b.T)
		return b.http("POST", url, disk[:len(disk)/2])
	},
	"completing a lease before its disks were sent": func(b *bench) string {
		lease, _ := b.lease()
		_, err := methods.HttpNfcLeaseComplete(b.ctx, b.c, &types.HttpNfcLeaseComplete{This: lease})
		return b.refused(err)
	},
	"a lease without progress for its time": func(b *bench) string {
		b.s.options.Lease = time.Millisecond
		lease, url := b.lease()
		ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
		defer cancel()
		b.must(property.Wait(ctx, property.DefaultCollector(b.c.Client), lease, []string{"state"}, func(changes []types.PropertyChange) bool {
			return slices.ContainsFunc(changes, func(c types.PropertyChange) bool { return c.Val == types.HttpNfcLeaseStateError })
		}))
		if b.s.VMs()["imported"] != nil {
			b.Error("the machine of a lease that timed out is still there")
		}
		if got := b.http("POST", url, stream(b.T)); got != "404" {
			b.Errorf("sending to a lease that timed out: %s", got)
		}
		_, err := methods.HttpNfcLeaseComplete(b.ctx, b.c, &types.HttpNfcLeaseComplete{This: lease})
		return b.refused(err)
	},
}

func TestRefusals(t *testing.T) {
	for _, r := range Table() {
		do, ok := refusals[r.Name]
		if !ok || r.Source == "" {
			t.Errorf("%s: no test or no source", r.Name)
			continue
		}
		t.Run(r.Name, func(t *testing.T) {
			if got := do(newBench(t, Options{})); got != r.Fault {
				t.Errorf("got %q, want %s", got, r.Fault)
			}
		})
	}
	if len(refusals) != len(Table()) {
		t.Errorf("%d tests for %d refusals", len(refusals), len(Table()))
	}
}

// streamed is a raw disk, a part of it empty, and stream the same as streamOptimized.
func streamed() []byte { return drivertest.RawDisk(1<<20, 1<<19) }

func stream(t *testing.T) []byte {
	t.Helper()
	drivertest.NeedQemuImg(t)
	data, err := drivertest.Convert(streamed(), "vmdk", "subformat=streamOptimized")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// What vcsim only pretends to do.

func TestLinkedCloneStandsOnItsParent(t *testing.T) {
	b := newBench(t, Options{})
	b.must(b.reconfigure(b.vm, types.VirtualMachineConfigSpec{Firmware: efi}))
	base := b.snapshot(b.vm)
	under := flat(b.disk(b.vm)).Parent
	b.must(b.clone("clone", &base, nil))
	clone := object.NewVirtualMachine(b.c.Client, b.s.VMs()["clone"].Self)
	if got := flat(b.disk(clone)).Parent; got == nil || under == nil || got.FileName != under.FileName {
		t.Errorf("the clone's disk stands on %+v, want %+v", got, under)
	}
	if got := b.s.VMs()["clone"].Config.Firmware; got != efi {
		t.Errorf("the clone's firmware is %s", got)
	}
}

func TestRevertReverts(t *testing.T) {
	b := newBench(t, Options{})
	b.must(b.reconfigure(b.vm, types.VirtualMachineConfigSpec{MemoryMB: 64}))
	b.snapshot(b.vm)
	b.must(b.reconfigure(b.vm, types.VirtualMachineConfigSpec{MemoryMB: 128}))
	b.must(b.end(b.vm.PowerOn(b.ctx)))
	b.must(b.end(b.vm.RevertToSnapshot(b.ctx, "base", true)))
	var m mo.VirtualMachine
	b.must(b.vm.Properties(b.ctx, b.vm.Reference(), []string{"config.hardware.memoryMB", "runtime.powerState"}, &m))
	if m.Config.Hardware.MemoryMB != 64 || m.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOff {
		t.Errorf("after revert %d MB, %s", m.Config.Hardware.MemoryMB, m.Runtime.PowerState)
	}
}

func TestStreamIsExpanded(t *testing.T) {
	data := stream(t)
	out, err := os.Create(filepath.Join(t.TempDir(), "flat"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	size, err := expand(strings.NewReader(string(data)), out)
	if err != nil || size != 1<<20 {
		t.Fatalf("expanded to %d, %v", size, err)
	}
	got, err := os.ReadFile(out.Name())
	if err != nil || !bytes.Equal(got, streamed()) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func FuzzExpand(f *testing.F) {
	f.Add([]byte("KDMV\x03\x00\x00\x00\x03\x00\x03\x00"))
	head := make([]byte, 2048)
	copy(head, "KDMV\x03\x00\x00\x00\x03\x00\x03\x00\x08")
	head[64] = 1
	for i := range 8 {
		head[56+i] = 0xff
	}
	f.Add(head)
	f.Fuzz(func(t *testing.T, data []byte) {
		out, err := os.Create(filepath.Join(t.TempDir(), "flat"))
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		if _, err := expand(strings.NewReader(string(data)), out); err != nil && len(err.Error()) == 0 {
			t.Error("an error without words")
		}
	})
}
