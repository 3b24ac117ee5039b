package vsphere

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// The pause after a lost connection, doubled up to the longest.
const (
	rewatchFirst = time.Second
	rewatchMax   = time.Minute
)

// Watch implements hypervisor.Watcher.
func (d *Driver) Watch(ctx context.Context, f func(id string)) error {
	for pause := rewatchFirst; ; pause = min(2*pause, rewatchMax) {
		err := d.watchOnce(ctx, f)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		d.log.Warn("watch is interrupted", "err", err)
		f("")
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// watchOnce tells of changes until the connection or ctx ends. The machines as they are at
// the start are not changes.
func (d *Driver) watchOnce(ctx context.Context, f func(id string)) error {
	v, err := d.viewOf(ctx, d.place.datacenter.VmFolder.Value+" watch", d.place.datacenter.VmFolder, "VirtualMachine")
	if err != nil {
		return err
	}
	spec := types.PropertyFilterSpec{ObjectSet: []types.ObjectSpec{through(v.ref)}, PropSet: []types.PropertySpec{{
		Type: "VirtualMachine", PathSet: []string{"runtime.powerState", "config.extraConfig", "config.hardware", "guest.net"}}}}
	ids, settled := map[types.ManagedObjectReference]string{}, false
	first := func() { settled = true }
	return d.collectAll(ctx, spec, first, func(u types.ObjectUpdate) bool {
		if settled && marksChanged(u) {
			f("")
		}
		id, known := ids[u.Obj]
		if now, told := d.idIn(u); told {
			id = now
			ids[u.Obj] = id
		}
		if u.Kind == types.ObjectUpdateKindLeave {
			delete(ids, u.Obj)
		}
		if settled && id != "" && (known || u.Kind != types.ObjectUpdateKindLeave) {
			f(id)
		}
		return false
	})
}

// marksChanged tells of a single mark that was changed, which comes without the others, so
// that whose machine it is can't be told from it.
func marksChanged(u types.ObjectUpdate) bool {
	return slices.ContainsFunc(u.ChangeSet, func(c types.PropertyChange) bool { return strings.HasPrefix(c.Name, `config.extraConfig["ingot.`) })
}

// idIn is the machine's ID, when an update tells its marks: empty for one that is not this
// owner's.
func (d *Driver) idIn(u types.ObjectUpdate) (string, bool) {
	for _, c := range u.ChangeSet {
		values, ok := c.Val.(types.ArrayOfOptionValue)
		if c.Name != "config.extraConfig" || !ok {
			continue
		}
		m := mo.VirtualMachine{Config: &types.VirtualMachineConfigInfo{ExtraConfig: values.OptionValue}}
		if !d.owns(m) {
			return "", true
		}
		return note(m, keyID), true
	}
	return "", false
}
