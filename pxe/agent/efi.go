package agent

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf16"

	"golang.org/x/sys/unix"

	"ingot/images/master"
	"ingot/pxe/agentapi"
)

// efivarsDir is where the kernel shows the firmware's variables.
const efivarsDir = "/sys/firmware/efi/efivars"

// globalGUID is the vendor of Boot#### and BootOrder (UEFI 2.10 section 3.3).
const globalGUID = "8be4df61-93ca-11d2-aa0d-00e098032b8c"

// loaderPath is the removable-media path, which every image has (UEFI 2.10 section
// 3.5.1.1).
const loaderPath = `\EFI\BOOT\BOOTX64.EFI`

// bootLabel is the description of Ingot's entry; an entry with it is reused.
const bootLabel = "Ingot disk"

// variableAttributes: non-volatile, boot and run time.
const variableAttributes = 7

// espEntry is what a boot entry says of an EFI system partition.
type espEntry struct {
	number            uint32
	startLBA, sectors uint64
	id                master.GUID
}

func findESP(t *master.Table) *espEntry {
	for i, p := range t.Partitions {
		if p.Type == master.TypeESP {
			return &espEntry{uint32(i + 1), uint64(p.FirstLBA), uint64(p.LastLBA - p.FirstLBA + 1), p.ID}
		}
	}
	return nil
}

// bootOrder puts the written disk first (after the network, when the order says so).
// On BIOS there is nothing to set: the boot service hands the machine to its disk.
func (a *Agent) bootOrder(o agentapi.Order, esp *espEntry) error {
	if _, err := os.Stat(efivarsDir); err != nil || esp == nil {
		return nil
	}
	entries, _ := os.ReadDir(efivarsDir)
	if len(entries) == 0 {
		return errors.New("set boot order: no EFI variables (efivarfs is not mounted)")
	}
	number, err := putEntry(esp)
	if err != nil {
		return fmt.Errorf("set boot order: %w", err)
	}
	order, err := readOrder()
	if err != nil {
		return fmt.Errorf("set boot order: %w", err)
	}
	order = slices.DeleteFunc(order, func(n uint16) bool { return n == number })
	if o.Deploy.NetworkFirst {
		order = append(order, number)
	} else {
		order = append([]uint16{number}, order...)
	}
	if err := writeVariable("BootOrder", encodeOrder(order)); err != nil {
		return fmt.Errorf("set boot order: %w", err)
	}
	a.log.Info("boot order is set", "entry", fmt.Sprintf("Boot%04X", number), "disk-first", !o.Deploy.NetworkFirst)
	return nil
}

// putEntry writes Ingot's boot entry: into the one it made before, or a free number.
func putEntry(esp *espEntry) (uint16, error) {
	number, err := freeEntry()
	if err != nil {
		return 0, err
	}
	return number, writeVariable(fmt.Sprintf("Boot%04X", number), loadOption(bootLabel, esp))
}

func freeEntry() (uint16, error) {
	for n := range uint16(0x2000) {
		name := fmt.Sprintf("Boot%04X", n)
		data, err := readVariable(name)
		if errors.Is(err, os.ErrNotExist) {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
		if label, ok := optionLabel(data); ok && label == bootLabel {
			return n, nil
		}
	}
	return 0, errors.New("no free boot entry")
}

// optionLabel reads the description of an EFI_LOAD_OPTION (UEFI 2.10 section 3.1.3).
func optionLabel(data []byte) (string, bool) {
	if len(data) < 8 {
		return "", false
	}
	var units []uint16
	for i := 6; i+1 < len(data); i += 2 {
		u := binary.LittleEndian.Uint16(data[i:])
		if u == 0 {
			return string(utf16.Decode(units)), true
		}
		units = append(units, u)
	}
	return "", false
}

// loadOption builds an EFI_LOAD_OPTION with the short-form path HD(...)/File(...).
func loadOption(label string, esp *espEntry) []byte {
	var path bytes.Buffer
	le := binary.LittleEndian
	hd := []byte{4, 1, 42, 0} // media, hard drive (UEFI 2.10 section 10.3.5.1)
	hd = le.AppendUint32(hd, esp.number)
	hd = le.AppendUint64(hd, esp.startLBA)
	hd = le.AppendUint64(hd, esp.sectors)
	hd = append(hd, esp.id[:]...)
	hd = append(hd, 2, 2) // GPT, signature is a GUID
	path.Write(hd)
	file := ucs2(loaderPath)
	path.Write(le.AppendUint16([]byte{4, 4}, uint16(4+len(file))))
	path.Write(file)
	path.Write([]byte{0x7f, 0xff, 4, 0})
	out := le.AppendUint32(nil, 1) // LOAD_OPTION_ACTIVE
	out = le.AppendUint16(out, uint16(path.Len()))
	out = append(out, ucs2(label)...)
	return append(out, path.Bytes()...)
}

func ucs2(s string) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(s + "\x00")) {
		out = binary.LittleEndian.AppendUint16(out, u)
	}
	return out
}

func readOrder() ([]uint16, error) {
	data, err := readVariable("BootOrder")
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var out []uint16
	for i := 0; i+1 < len(data); i += 2 {
		out = append(out, binary.LittleEndian.Uint16(data[i:]))
	}
	return out, err
}

func encodeOrder(order []uint16) []byte {
	var out []byte
	for _, n := range order {
		out = binary.LittleEndian.AppendUint16(out, n)
	}
	return out
}

func variablePath(name string) string { return filepath.Join(efivarsDir, name+"-"+globalGUID) }

// readVariable returns the value without the attributes that efivarfs puts before it.
func readVariable(name string) ([]byte, error) {
	data, err := os.ReadFile(variablePath(name))
	if err != nil {
		return nil, err
	}
	if len(data) < 4 {
		return nil, fmt.Errorf("EFI variable %s has %d bytes", name, len(data))
	}
	return data[4:], nil
}

// writeVariable replaces a variable in one write, as efivarfs wants it. Variables that
// the kernel marks immutable are made writable first.
func writeVariable(name string, value []byte) error {
	path := variablePath(name)
	clearImmutable(path)
	data := append(binary.LittleEndian.AppendUint32(nil, variableAttributes), value...)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("write EFI variable %s: %w", strings.TrimSpace(name), err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
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
