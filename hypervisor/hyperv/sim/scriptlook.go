package sim

import (
	"slices"
	"strings"
	"time"
)

// The scripts that only look.

func runHost(r *run, q struct{ Storage string }) object {
	out := object{"PowerShell": "5.1.20348.1", "Module": "2.0.0.0", "Fault": "", "Windows": "Microsoft Windows Server 2022 Standard", "Version": "10.0.20348",
		"Client": false, "User": `HV1\ingot`, "Administrator": true, "HypervAdministrator": false, "Name": "HV1", "Processors": hostCPUs,
		"MemoryBytes": r.h.options.MemoryBytes, "FreeMemoryBytes": r.h.options.MemoryBytes / 2, "FreeBytes": int64(500 << 30), "WriteFault": "", "Tpm": true,
		"Now": time.Now().UTC().Format(time.RFC3339Nano)}
	r.read(func() error {
		if r.h.options.Client {
			out["Windows"], out["Client"] = "Microsoft Windows 11 Pro", true
		}
		out["Switches"], out["Storage"] = r.h.switches(), q.Storage
		if q.Storage == "" {
			out["Storage"] = VHDFolder
		}
		if r.h.denied {
			out["Fault"], out["Administrator"] = "AccessDenied,"+hyperV+"GetVMHost", false
		}
		if r.h.noModule {
			out["Module"] = ""
		}
		if r.h.noModule || r.h.denied {
			out["Name"], out["Processors"], out["MemoryBytes"], out["Switches"], out["Storage"] = "", 0, 0, []object{}, q.Storage
		}
		existing := out["Storage"].(string)
		for existing != "" && !r.h.exists(existing) && len(existing) > 2 {
			existing = dirOf(existing)
		}
		if strings.HasPrefix(key(existing), "z:") {
			existing = ""
		}
		out["Existing"], out["CompressedOrEncrypted"] = existing, r.h.squeezed
		if r.h.readOnly {
			out["WriteFault"] = "UnauthorizedAccessException"
		}
		return nil
	})
	return out
}

func (h *Host) switches() []object {
	all := []object{}
	for _, name := range h.options.Switches {
		all = append(all, object{"Name": name, "Type": "Internal"})
	}
	return all
}

func runPlace(r *run, q struct{ Images string }) object {
	images := []object{}
	r.read(func() error {
		for _, f := range r.h.below(q.Images) {
			if !isImage.MatchString(baseOf(f.path)) {
				continue
			}
			d, err := r.h.getVHD(f.path)
			if err != nil {
				return err
			}
			images = append(images, object{"File": baseOf(f.path), "SizeBytes": d.sizeBytes})
		}
		return r.h.allowed("GetVMSwitch")
	})
	return object{"Images": images, "Switches": r.h.switchesLocked()}
}

func (h *Host) switchesLocked() (all []object) {
	h.set(func() { all = h.switches() })
	return all
}

// selected is Select-IngotVM.
func (h *Host) selected(marks, folders []string, others bool) ([]*machine, error) {
	if err := h.allowed("GetVM"); err != nil {
		return nil, err
	}
	var all []*machine
	for _, m := range h.machines {
		hit := slices.ContainsFunc(marks, func(mark string) bool { return strings.Contains(m.notes, mark) }) ||
			slices.ContainsFunc(folders, func(folder string) bool { return strings.HasPrefix(key(m.path), key(folder)) })
		if hit != others {
			all = append(all, m)
		}
	}
	return all, nil
}

func runList(r *run, q struct {
	Marks, Folders []string
	Others         bool
}) object {
	told := []object{}
	r.read(func() error {
		all, err := r.h.selected(q.Marks, q.Folders, q.Others)
		for _, m := range all {
			told = append(told, r.h.tell(m))
		}
		return err
	})
	return object{"Machines": told}
}

func (h *Host) tell(m *machine) object {
	disks, nics := []object{}, []object{}
	for _, d := range m.disks {
		one := object{"Path": d.path, "Controller": d.controller, "Number": d.number, "Location": d.location, "SizeBytes": 0, "Chain": []string{}, "Fault": ""}
		if disk, err := h.getVHD(d.path); err != nil {
			one["Fault"] = "OperationFailed," + vhdCmd + "GetVhd"
		} else if chain := h.chain(d.path); h.files[key(chain[len(chain)-1])] == nil { // Get-IngotChain throws
			one["SizeBytes"], one["Fault"] = disk.sizeBytes, "OperationFailed,"+vhdCmd+"GetVhd"
		} else {
			one["SizeBytes"], one["Chain"] = disk.sizeBytes, chain
		}
		disks = append(disks, one)
	}
	for _, c := range m.nics {
		one := object{"Mac": c.mac, "Switch": c.switchName, "VlanId": c.vlan, "Told": []string{}, "Neighbors": []string{}}
		if m.state == "Running" {
			one["Neighbors"] = append([]string{}, h.neighbors[c.mac]...)
			if m.guest.booted && m.guest.integration {
				one["Told"] = append([]string{}, m.guest.addresses...)
			}
		}
		nics = append(nics, one)
	}
	return object{"VmId": m.id, "Name": m.name, "Notes": m.notes, "Path": m.path, "State": m.state, "Generation": m.generation, "Cpus": m.cpus, "MemoryBytes": m.memoryBytes,
		"SecureBoot": m.secureBoot, "Tpm": m.tpm, "Disks": disks, "Nics": nics, "Checkpoints": len(m.checkpoints), "Status": m.status()}
}

func runWatch(r *run, q struct{ Marks, Folders []string }) object {
	told := []object{}
	r.read(func() error {
		all, err := r.h.selected(q.Marks, q.Folders, false)
		for _, m := range all {
			told = append(told, object{"VmId": m.id, "Name": m.name, "Notes": m.notes, "State": m.state, "Cpus": m.cpus, "MemoryBytes": m.memoryBytes, "Checkpoint": m.parent})
		}
		return err
	})
	return object{"Machines": told}
}
