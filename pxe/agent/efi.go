package agent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"ingot/images/master"
	"ingot/pxe/agentapi"
)

// bootLabel is the description of Ingot's entry; an entry with it is reused.
const bootLabel = "Ingot disk"

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

// bootOrder puts the written disk first, or, when the order says so, behind the network.
// On BIOS there is nothing to set: the boot service hands the machine to its disk.
func (a *Agent) bootOrder(o agentapi.Order, esp *espEntry) error {
	efi := a.machine.efi
	if !efi.present() || esp == nil {
		return nil
	}
	number, err := efi.putEntry(esp)
	if err != nil {
		return fmt.Errorf("set boot order: %w", err)
	}
	if err := efi.putFirst(number, o.Deploy.NetworkFirst); err != nil {
		return fmt.Errorf("set boot order: %w", err)
	}
	a.log.Info("boot order is set", "entry", entryName(number), "disk-first", !o.Deploy.NetworkFirst)
	return nil
}

// putEntry writes Ingot's boot entry: into the one it made before, or a free number.
func (f firmware) putEntry(esp *espEntry) (uint16, error) {
	entries, err := f.bootEntries()
	if err != nil {
		return 0, err
	}
	number, found := uint16(0), false
	for n, option := range entries {
		if label, ok := optionLabel(option); ok && label == bootLabel && (!found || n < number) {
			number, found = n, true
		}
	}
	for !found {
		if _, taken := entries[number]; !taken {
			break
		}
		if number++; number == 0 {
			return 0, errors.New("all 65536 boot entries are taken")
		}
	}
	return number, f.write(entryName(number), loadOption(bootLabel, esp))
}

// bootEntries reads all Boot####; the value of a broken one is nil.
func (f firmware) bootEntries() (map[uint16][]byte, error) {
	names, err := f.names()
	if err != nil {
		return nil, err
	}
	out := map[uint16][]byte{}
	for _, name := range names {
		hex, ok := strings.CutPrefix(name, "Boot")
		n, err := strconv.ParseUint(hex, 16, 16)
		if !ok || len(hex) != 4 || err != nil {
			continue // BootOrder, BootCurrent and the like
		}
		out[uint16(n)], _ = f.read(name) // one that is broken is taken all the same
	}
	return out, nil
}

func entryName(n uint16) string { return fmt.Sprintf("Boot%04X", n) }

// putFirst puts an entry at the start of BootOrder, or behind the network's entries, which
// go to the start: nothing else may stand before the disk.
func (f firmware) putFirst(number uint16, afterNetwork bool) error {
	before, err := f.read("BootOrder")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var network, rest []uint16
	for _, n := range decodeOrder(before) {
		option, _ := f.read(entryName(n)) // nil for an entry that is gone or broken
		switch {
		case n == number:
		case afterNetwork && isNetwork(option):
			network = append(network, n)
		default:
			rest = append(rest, n)
		}
	}
	return f.write("BootOrder", encodeOrder(slices.Concat(network, []uint16{number}, rest)))
}

func decodeOrder(data []byte) []uint16 {
	var out []uint16
	for ; len(data) >= 2; data = data[2:] {
		out = append(out, binary.LittleEndian.Uint16(data))
	}
	return out
}

func encodeOrder(order []uint16) []byte {
	var out []byte
	for _, n := range order {
		out = binary.LittleEndian.AppendUint16(out, n)
	}
	return out
}
