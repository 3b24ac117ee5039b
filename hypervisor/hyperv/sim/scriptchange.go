package sim

import (
	"errors"
	"slices"
	"time"

	"ingot/hypervisor/hyperv/powershell"
)

// The scripts that change machines.

// machine is Get-VM -Id, whose error ends the script.
func (r *run) machine(id string) *machine {
	m := &machine{}
	r.read(func() error {
		found, err := r.h.getVM(id)
		if err == nil {
			m = found
		}
		return err
	})
	return m
}

// state is [string](Get-VM -Id ...).State at the end of a script.
func (r *run) state(id string) (state string) {
	m := r.machine(id)
	r.read(func() error { state = m.state; return nil })
	return state
}

func runDelete(r *run, q struct {
	Lock           string
	VmIds, Folders []string
}) object {
	r.lock(q.Lock)
	busy := ""
	for _, folder := range q.Folders {
		r.confirm(folder, q.VmIds)
	}
	for _, id := range q.VmIds {
		if r.remove(id) {
			busy = "disks of checkpoints are being merged"
		}
	}
	for _, folder := range q.Folders {
		if busy != "" || !r.has(folder) {
			continue
		}
		r.change("Remove-Item", func() error {
			err := r.h.removeTree(folder)
			var fault *powershell.Error
			if errors.As(err, &fault) && fault.ID == fileInUse.id+psCmd+"RemoveItemCommand" {
				busy, err = "a file is in use in "+folder, nil
			}
			return err
		})
	}
	return object{"Busy": busy}
}

// remove turns a machine off and takes it away, unless its disks are being merged.
func (r *run) remove(id string) (merging bool) {
	var m *machine
	runs := false
	r.read(func() error {
		if err := r.h.allowed("GetVM"); err != nil {
			return err
		}
		if m = r.h.find(id); m != nil {
			merging, runs = m.merging > 0, !m.off() && !m.saved()
		}
		return nil
	})
	if m == nil || merging {
		return merging
	}
	if runs {
		r.change("Stop-VM", func() error { return r.h.stopVM(m) })
	}
	r.change("Remove-VM", func() error { return r.h.removeVM(m) })
	return false
}

func runPower(r *run, q struct{ Lock, VmId, Action string }) object {
	if q.Action != "look" {
		r.lock(q.Lock)
	}
	m, code := r.machine(q.VmId), int64(0)
	var is machine
	r.read(func() error { is = *m; return nil })
	switch {
	case q.Action == "start" && is.state == "Paused":
		r.change("Resume-VM", func() error { m.state = "Running"; return nil })
	case q.Action == "start" && is.state != "Running":
		r.change("Start-VM", func() error { return r.h.startVM(m) })
	case q.Action == "turnoff" && is.saved():
		r.change("Remove-VMSavedState", func() error { return r.h.removeSaved(m) })
	case q.Action == "turnoff" && !is.off():
		r.change("Stop-VM", func() error { return r.h.stopVM(m) })
	case q.Action == "shutdown":
		r.change("Invoke-CimMethod", func() error { code = r.h.initiateShutdown(m); return nil })
	}
	return object{"State": r.state(q.VmId), "Code": code}
}

func runCheckpoints(r *run, q struct{ VmId string }) object {
	m, told := r.machine(q.VmId), []object{}
	out := object{}
	r.read(func() error {
		for _, c := range m.checkpoints {
			told = append(told, object{"CheckpointId": c.id, "Name": c.name, "Created": c.created.Format(time.RFC3339Nano)})
		}
		out = object{"Current": m.parent, "Status": m.status(), "Checkpoints": told}
		return nil
	})
	return out
}

func runCheckpoint(r *run, q struct{ Lock, VmId, Name string }) object {
	r.lock(q.Lock)
	m := r.machine(q.VmId)
	r.change("Checkpoint-VM", func() error { return r.h.checkpointVM(m, q.Name) })
	return object{"State": r.state(q.VmId)}
}

func (m *machine) checkpointOf(id string) *checkpoint {
	i := slices.IndexFunc(m.checkpoints, func(c *checkpoint) bool { return c.id == id })
	if i < 0 {
		return nil
	}
	return m.checkpoints[i]
}

func runRestore(r *run, q struct{ Lock, VmId, CheckpointId string }) object {
	r.lock(q.Lock)
	m := r.machine(q.VmId)
	var c *checkpoint
	runs, saved := false, false
	r.read(func() error {
		if c = m.checkpointOf(q.CheckpointId); c == nil {
			return own("IngotNoCheckpoint", "ObjectNotFound", q.CheckpointId)
		}
		runs = m.runs()
		return nil
	})
	if runs {
		r.change("Stop-VM", func() error { return r.h.stopVM(m) })
	}
	r.change("Restore-VMSnapshot", func() error { return r.h.restore(m, c) })
	r.read(func() error { saved = m.saved(); return nil })
	if saved {
		r.change("Remove-VMSavedState", func() error { return r.h.removeSaved(m) })
	}
	return object{"State": r.state(q.VmId)}
}

func runRemoveCheckpoint(r *run, q struct{ Lock, VmId, CheckpointId string }) object {
	r.lock(q.Lock)
	m := r.machine(q.VmId)
	var c *checkpoint
	r.read(func() error { c = m.checkpointOf(q.CheckpointId); return nil })
	if c != nil {
		r.change("Remove-VMSnapshot", func() error { r.h.removeCheckpoint(m, c); return nil })
	}
	return object{"State": r.state(q.VmId)}
}

func runGrowDisk(r *run, q struct {
	Lock, VmId, Path string
	SizeBytes        int64
}) object {
	r.lock(q.Lock)
	m := r.machine(q.VmId)
	size := int64(0)
	look := func() error {
		d, err := r.h.getVHD(q.Path)
		if err == nil {
			size = d.sizeBytes
		}
		return err
	}
	r.read(func() error {
		if len(m.checkpoints) > 0 {
			return own("IngotHasCheckpoints", "ResourceBusy", q.Path)
		}
		return look()
	})
	if size < q.SizeBytes {
		r.change("Resize-VHD", func() error { return r.h.resizeVHD(q.Path, q.SizeBytes) })
	}
	r.read(look)
	return object{"SizeBytes": size}
}

func runSetSize(r *run, q struct {
	Lock, VmId  string
	Cpus        int
	MemoryBytes int64
}) object {
	r.lock(q.Lock)
	m, state := r.machine(q.VmId), ""
	r.read(func() error {
		if state = m.state; !m.off() {
			return own("IngotNotOff", "ResourceBusy", q.VmId)
		}
		return nil
	})
	r.change("Set-VM", func() error { return r.h.resize(m, q.Cpus, q.MemoryBytes) })
	return object{"State": state}
}

func runSetNotes(r *run, q struct{ Lock, VmId, Before, Notes string }) object {
	r.lock(q.Lock)
	m, state := r.machine(q.VmId), ""
	r.read(func() error {
		if state = m.state; m.notes != q.Before {
			return own("IngotNotesChanged", "ResourceBusy", q.VmId)
		}
		return nil
	})
	r.change("Set-VM", func() error { m.notes = q.Notes; return nil })
	return object{"State": state}
}
