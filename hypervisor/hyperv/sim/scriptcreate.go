package sim

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
)

type createRequest struct {
	Lock                      string
	Folder, Name, VisibleName string
	Generation, Cpus          int
	MemoryBytes               int64
	SecureBoot, Tpm           bool
	Making, Made              string
	Disks                     []struct {
		Path, Parent string
		SizeBytes    int64
		Controller   string
		Location     int
	}
	Seed struct {
		Path, Gzip, Sha256 string
		Location           int
	}
	Nics []struct {
		Name, Mac, Switch string
		VlanId            int
	}
}

func runCreate(r *run, q createRequest) object {
	r.lock(q.Lock)
	r.confirm(q.Folder, nil)
	if r.has(q.Folder) {
		r.change("Remove-Item", func() error { return r.h.removeTree(q.Folder) })
	}
	r.change("New-Item", func() error { return r.h.mkdir(q.Folder) })
	r.makeDisks(q)
	r.writeSeed(q)
	m := &machine{}
	r.change("New-VM", func() (err error) {
		made, err := r.h.newVM(q.Name, q.Folder, q.Generation, q.MemoryBytes)
		if err == nil {
			m = made
		}
		return err
	})
	r.change("Set-VM", func() error {
		if err := checkName(hyperV+"SetVM", q.VisibleName); err != nil {
			return err
		}
		m.notes, m.name, m.startAction, m.stopAction, m.checkpointType = q.Making, q.VisibleName, "StartIfRunning", "ShutDown", "Production"
		return r.h.resize(m, q.Cpus, q.MemoryBytes)
	})
	if !r.h.options.Old {
		r.change("Set-VM", func() error { m.autoCheckpoints = false; return nil })
	}
	for _, c := range slices.Clone(m.nics) {
		r.change("Remove-VMNetworkAdapter", func() error {
			m.nics = slices.DeleteFunc(m.nics, func(other *card) bool { return other == c })
			return nil
		})
	}
	r.attach(m, q)
	r.settle(m, q)
	r.change("Set-VM", func() error { m.notes = q.Made; return nil })
	return object{"VmId": m.id}
}

func (r *run) makeDisks(q createRequest) {
	for _, d := range q.Disks {
		r.change("New-VHD", func() error { return r.h.newVHD(d.Path, d.Parent, d.SizeBytes, 1<<20) })
		grows := false
		r.read(func() error {
			grows = d.Parent != "" && d.SizeBytes > r.h.files[key(d.Path)].disk.sizeBytes
			return nil
		})
		if grows {
			r.change("Resize-VHD", func() error { return r.h.resizeVHD(d.Path, d.SizeBytes) })
		}
	}
}

func (r *run) writeSeed(q createRequest) {
	if q.Seed.Gzip == "" {
		return
	}
	r.change("[System.IO.File]::Create", func() error {
		packed, err := base64.StdEncoding.DecodeString(q.Seed.Gzip)
		if err != nil {
			return own("FormatException", "NotSpecified", "")
		}
		z, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			return own("InvalidDataException", "NotSpecified", "")
		}
		data := bytes.NewBuffer(make([]byte, 0, 9<<20))
		if _, err := data.ReadFrom(z); err != nil {
			return own("InvalidDataException", "NotSpecified", "")
		}
		_, err = r.h.put(q.Seed.Path, data.Bytes())
		return err
	})
	r.read(func() error {
		f := r.h.files[key(q.Seed.Path)]
		has := sha256.Sum256(f.data)
		if !strings.EqualFold(hex.EncodeToString(has[:]), q.Seed.Sha256) {
			return own("IngotWrongHash", "InvalidData", q.Seed.Path)
		}
		if _, err := r.h.open(f); err == nil {
			f.data = nil // it was read, and there are many of them
		}
		return nil
	})
}

func (r *run) attach(m *machine, q createRequest) {
	for _, d := range q.Disks {
		r.change("Add-VMHardDiskDrive", func() error { return r.h.addDrive(m, drive{d.Path, d.Controller, 0, d.Location}) })
	}
	if q.Seed.Gzip != "" {
		r.change("Add-VMHardDiskDrive", func() error { return r.h.addDrive(m, drive{q.Seed.Path, "SCSI", 0, q.Seed.Location}) })
	}
	for _, n := range q.Nics {
		var c *card
		r.change("Add-VMNetworkAdapter", func() (err error) { c, err = r.h.addCard(m, n.Name, n.Switch, n.Mac); return err })
		if n.VlanId > 0 {
			r.change("Set-VMNetworkAdapterVlan", func() error { return r.h.setVLAN(c, n.VlanId) })
		}
	}
}

// settle is firmware and TPM.
func (r *run) settle(m *machine, q createRequest) {
	if q.Generation == 2 {
		template := ""
		if q.SecureBoot {
			template = "MicrosoftUEFICertificateAuthority"
		}
		r.change("Set-VMFirmware", func() error { return r.h.setFirmware(m, q.Disks[0].Path, q.SecureBoot, template) })
	}
	if q.Tpm {
		r.change("Set-VMKeyProtector", func() error { m.keyProtector = true; return nil })
		r.change("Enable-VMTPM", func() error { return r.h.enableTPM(m) })
	}
}
