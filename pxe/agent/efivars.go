package agent

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// efivarsDir is where the kernel shows the firmware's variables.
const efivarsDir = "/sys/firmware/efi/efivars"

// globalGUID is the vendor of Boot#### and BootOrder (UEFI 2.10 section 3.3).
const globalGUID = "8be4df61-93ca-11d2-aa0d-00e098032b8c"

// variableAttributes: non-volatile, boot and run time.
const variableAttributes = 7

// firmware is the machine's EFI variables as efivarfs shows them.
type firmware struct{ dir string }

// present is false on BIOS.
func (f firmware) present() bool {
	_, err := os.Stat(f.dir)
	return err == nil
}

// names lists the global variables. None at all means that efivarfs is not mounted.
func (f firmware) names() ([]string, error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, fmt.Errorf("list EFI variables: %w", err)
	}
	if len(entries) == 0 {
		return nil, errors.New("list EFI variables: there are none (efivarfs is not mounted)")
	}
	var out []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), "-"+globalGUID); ok {
			out = append(out, name)
		}
	}
	return out, nil
}

func (f firmware) path(name string) string { return filepath.Join(f.dir, name+"-"+globalGUID) }

// read returns a value without the attributes that efivarfs puts before it.
func (f firmware) read(name string) ([]byte, error) {
	data, err := os.ReadFile(f.path(name))
	if err != nil {
		return nil, fmt.Errorf("read EFI variable: %w", err)
	}
	if len(data) < 4 {
		return nil, fmt.Errorf("read EFI variable %s: it has %d bytes", name, len(data))
	}
	return data[4:], nil
}

// write replaces a variable in one write, as efivarfs wants it; one that has the value
// already is left alone, since flash wears. Variables that the kernel marks immutable are
// made writable first.
func (f firmware) write(name string, value []byte) error {
	if old, err := f.read(name); err == nil && bytes.Equal(old, value) {
		return nil
	}
	path := f.path(name)
	clearImmutable(path)
	data := append(binary.LittleEndian.AppendUint32(nil, variableAttributes), value...)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("write EFI variable: %w", err)
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write EFI variable %s: %w", name, err)
	}
	return nil
}

// immutableFlag is FS_IMMUTABLE_FL (linux/fs.h).
const immutableFlag = 0x10

func clearImmutable(path string) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil && flags&immutableFlag != 0 {
		_ = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags&^immutableFlag) // the write tells
	}
}
