package sim

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"os"
	"reflect"
	"strconv"
	"testing"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // vcsim logs what it refuses
	os.Exit(m.Run())
}

// bench is a server with two machines that nobody owns, and a plain govmomi client.
type bench struct {
	*testing.T
	s          *Server
	c          *govmomi.Client
	ctx        context.Context
	vm, other  *object.VirtualMachine
	folder     *object.Folder
	pool       *object.ResourcePool
	datacenter *object.Datacenter
}

func newBench(t *testing.T, o Options) *bench {
	t.Helper()
	o.Machines = 2
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	b := &bench{T: t, s: s, ctx: t.Context()}
	if b.c, err = govmomi.NewClient(b.ctx, s.URL(), true); err != nil {
		t.Fatal(err)
	}
	finder := find.NewFinder(b.c.Client)
	if b.datacenter, err = finder.DefaultDatacenter(b.ctx); err != nil {
		t.Fatal(err)
	}
	finder.SetDatacenter(b.datacenter)
	vms, err := finder.VirtualMachineList(b.ctx, "*")
	if err != nil {
		t.Fatal(err)
	}
	b.vm, b.other = vms[0], vms[1]
	pools, err := finder.ResourcePoolList(b.ctx, "*/Resources")
	if err != nil {
		t.Fatal(err)
	}
	b.pool = pools[0]
	if b.folder, err = finder.DefaultFolder(b.ctx); err != nil {
		t.Fatal(err)
	}
	return b
}

// refused is the name of the fault in an error.
func (b *bench) refused(err error) string {
	b.Helper()
	var fault interface{ Fault() types.BaseMethodFault }
	switch {
	case err == nil:
		return ""
	case errors.As(err, &fault):
		return reflect.TypeOf(fault.Fault()).Elem().Name()
	}
	return err.Error()
}

// end waits for a task.
func (b *bench) end(t *object.Task, err error) error {
	if err != nil {
		return err
	}
	return t.WaitEx(b.ctx)
}

// must is for what a case needs.
func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) reconfigure(vm *object.VirtualMachine, spec types.VirtualMachineConfigSpec) error {
	return b.end(vm.Reconfigure(b.ctx, spec))
}

// snapshot takes one and returns it.
func (b *bench) snapshot(vm *object.VirtualMachine) types.ManagedObjectReference {
	b.must(b.end(vm.CreateSnapshot(b.ctx, "base", "", false, false)))
	var m mo.VirtualMachine
	b.must(vm.Properties(b.ctx, vm.Reference(), []string{"snapshot"}, &m))
	return *m.Snapshot.CurrentSnapshot
}

func (b *bench) disk(vm *object.VirtualMachine) *types.VirtualDisk {
	devices, err := vm.Device(b.ctx)
	b.must(err)
	return devices.SelectByType((*types.VirtualDisk)(nil))[0].(*types.VirtualDisk)
}

// resized is an edit of a machine's disk.
func (b *bench) resized(vm *object.VirtualMachine, by int64) []types.BaseVirtualDeviceConfigSpec {
	d := *b.disk(vm)
	d.CapacityInBytes += by
	d.CapacityInKB = d.CapacityInBytes >> 10
	return []types.BaseVirtualDeviceConfigSpec{&types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationEdit, Device: &d}}
}

func added(d types.BaseVirtualDevice) types.VirtualMachineConfigSpec {
	return types.VirtualMachineConfigSpec{DeviceChange: []types.BaseVirtualDeviceConfigSpec{
		&types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationAdd, Device: d}}}
}

// clone makes one; a linked one when there is a snapshot.
func (b *bench) clone(name string, snapshot *types.ManagedObjectReference, config *types.VirtualMachineConfigSpec) error {
	pool := b.pool.Reference()
	spec := types.VirtualMachineCloneSpec{Location: types.VirtualMachineRelocateSpec{Pool: &pool, DiskMoveType: linked}, Snapshot: snapshot, Config: config}
	return b.end(b.vm.Clone(b.ctx, b.folder, name, spec))
}

// http sends a request with the client's session and returns the status.
func (b *bench) http(method, url string, body []byte) string {
	b.Helper()
	req, err := http.NewRequestWithContext(b.ctx, method, url, bytes.NewReader(body))
	b.must(err)
	res, err := b.c.Client.Client.Client.Do(req)
	b.must(err)
	defer res.Body.Close()
	return strconv.Itoa(res.StatusCode)
}

// lease starts an import and returns its lease and where its disk goes.
func (b *bench) lease() (types.ManagedObjectReference, string) {
	b.Helper()
	scsi := &types.ParaVirtualSCSIController{}
	scsi.Key, scsi.SharedBus = -1, types.VirtualSCSISharingNoSharing
	disk := &types.VirtualDisk{CapacityInKB: 1024, VirtualDevice: types.VirtualDevice{Key: -2, ControllerKey: -1, UnitNumber: types.NewInt32(0),
		Backing: &types.VirtualDiskFlatVer2BackingInfo{VirtualDeviceFileBackingInfo: types.VirtualDeviceFileBackingInfo{FileName: "[LocalDS_0]"}}}}
	spec := added(scsi)
	spec.Name, spec.Files = "imported", &types.VirtualMachineFileInfo{VmPathName: "[LocalDS_0]"}
	spec.DeviceChange = append(spec.DeviceChange, &types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationAdd,
		FileOperation: types.VirtualDeviceConfigSpecFileOperationCreate, Device: disk})
	folder := b.folder.Reference()
	res, err := methods.ImportVApp(b.ctx, b.c, &types.ImportVApp{This: b.pool.Reference(), Spec: &types.VirtualMachineImportSpec{ConfigSpec: spec}, Folder: &folder})
	b.must(err)
	var l mo.HttpNfcLease
	b.must(b.c.RetrieveOne(b.ctx, res.Returnval, []string{"state", "info"}, &l))
	return res.Returnval, l.Info.DeviceUrl[0].Url
}
