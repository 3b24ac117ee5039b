package qemu

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	varsName = "vars.fd"
	ovmfDir  = "/usr/share/OVMF"
)

// flash is the firmware image and the template of its variables.
type flash struct{ code, vars string }

// flash returns the files of the firmware, or an error that names the Debian
// package which has them.
func (f Firmware) flash() (flash, error) {
	var fw flash
	switch f {
	case FirmwareBIOS:
		return fw, nil
	case FirmwareSecureBoot:
		fw = flash{"OVMF_CODE_4M.ms.fd", "OVMF_VARS_4M.ms.fd"}
	default:
		fw = flash{"OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"}
	}
	fw = flash{filepath.Join(ovmfDir, fw.code), filepath.Join(ovmfDir, fw.vars)}
	for _, p := range []string{fw.code, fw.vars} {
		if _, err := os.Stat(p); err != nil {
			return flash{}, missing(p, "ovmf", err)
		}
	}
	return fw, nil
}

// prepareVariables gives the machine its own copy of the UEFI variables, with
// the first boot order in it. A copy that is there already is kept.
func (c Config) prepareVariables(fw flash) error {
	if !c.Firmware.UEFI() {
		return nil
	}
	path := filepath.Join(c.Dir, varsName)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	image, err := os.ReadFile(fw.vars)
	if err != nil {
		return fmt.Errorf("read firmware variables: %w", err)
	}
	vars, err := parseVariables(image)
	if err != nil {
		return fmt.Errorf("read firmware variables %s: %w", fw.vars, err)
	}
	if err := c.seedBootOrder(vars); err != nil {
		return err
	}
	return writeFileAtomic(path, vars.image)
}

func writeFileAtomic(path string, data []byte) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
