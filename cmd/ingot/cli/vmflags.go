package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ingot/inventory"
	"ingot/inventory/api"
)

type vmFlags struct {
	api.VMCreate
	memory   string
	disks    []string
	networks []string
	firmware string
	userData string
	sshKeys  []string
	count    int
	dryRun   bool
	wait     bool
	timeout  time.Duration
}

// read turns what was typed into a spec.
func (v *vmFlags) read() error {
	memory, err := readMemory(v.memory)
	if err != nil {
		return usage("--memory: %v", err)
	}
	v.Spec.MemoryBytes = memory
	v.Spec.DiskBytes = []int64{0}
	if len(v.disks) > 0 {
		v.Spec.DiskBytes = nil
	}
	for _, d := range v.disks {
		size, err := inventory.ParseBytes(d)
		if err != nil {
			return usage("--disk: %v", err)
		}
		v.Spec.DiskBytes = append(v.Spec.DiskBytes, (size+mebibyte-1)/mebibyte*mebibyte)
	}
	switch v.Spec.Firmware = inventory.FirmwareMode(v.firmware); v.Spec.Firmware {
	case "", inventory.FirmwareBIOS, inventory.FirmwareUEFI:
	default:
		return usage("--firmware %q (want bios or uefi)", v.firmware)
	}
	if v.count < 1 {
		return usage("--count %d (want 1 or more)", v.count)
	}
	return errors.Join(v.readNICs(), v.readFiles())
}

const mebibyte = 1 << 20

// readMemory reads a size of memory, which everybody counts in powers of 1024: 2G is
// 2 GiB.
func readMemory(text string) (int64, error) {
	if strings.IndexAny(text, "KMGTkmgt") == len(text)-1 && text != "" {
		text += "i"
	}
	n, err := inventory.ParseBytes(text)
	if err == nil && n%mebibyte != 0 {
		err = inventory.Invalid("%d bytes (want a multiple of 1 MiB, like 512M or 2G)", n)
	}
	return n, err
}

// memoryText writes a size of memory in powers of 1024.
func memoryText(n int64) string {
	if n%(1<<30) == 0 {
		return fmt.Sprintf("%d GiB", n>>30)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

func (v *vmFlags) readNICs() error {
	v.Spec.NICs = make([]inventory.VMNIC, max(len(v.networks), 1))
	for i, n := range v.networks {
		nic := inventory.VMNIC{Network: n}
		if at := strings.LastIndex(n, ":"); at >= 0 {
			if vlan, err := strconv.Atoi(n[at+1:]); err == nil {
				nic = inventory.VMNIC{Network: n[:at], VLAN: vlan}
			}
		}
		if nic.VLAN < 0 || nic.VLAN > 4094 {
			return usage("--network %q: VLAN %d (want 1 to 4094)", n, nic.VLAN)
		}
		v.Spec.NICs[i] = nic
	}
	return nil
}

func (v *vmFlags) readFiles() error {
	if v.userData != "" {
		data, err := os.ReadFile(v.userData)
		if err != nil {
			return fmt.Errorf("read user data: %w", err)
		}
		v.UserData = string(data)
	}
	if len(v.sshKeys) == 0 {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil // no home, no keys
		}
		v.sshKeys, _ = filepath.Glob(filepath.Join(home, ".ssh", "id_*.pub")) // the pattern is good
	}
	keys, err := readKeys(v.sshKeys)
	v.SSHKeys = keys
	return err
}

func (v *vmFlags) names() []string {
	if v.count == 1 {
		return []string{v.Name}
	}
	var out []string
	for i := range v.count {
		out = append(out, fmt.Sprintf("%s-%d", v.Name, i+1))
	}
	return out
}
