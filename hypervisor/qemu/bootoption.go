package qemu

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
)

// networkProtocol is how the firmware loads over a card.
type networkProtocol int

const (
	protocolPXE networkProtocol = iota
	protocolHTTP
	// protocolROM is the loader in the card's iPXE ROM. OVMF calls it PXE too.
	protocolROM
)

// autoCreated is the optional data by which EDK II knows the boot options that it
// made itself (UefiBootManagerLib, mBmAutoCreateBootOptionGuid). Ours carry it, so
// that the firmware takes them for its own, and drops them when the card is gone.
var autoCreated = [16]byte{0x4e, 0xac, 0x08, 0x81, 0x11, 0x9f, 0x59, 0x4d, 0x85, 0x0e, 0xe2, 0x1a, 0x52, 0x2c, 0x59, 0xb2}

// networkOption is an EFI_LOAD_OPTION (UEFI 2.10, 3.1.3) for the card in a PCI
// slot of the root bus, written as OVMF writes it.
func networkOption(p networkProtocol, slot int, mac net.HardwareAddr) []byte {
	name := "PXEv4"
	if p == protocolHTTP {
		name = "HTTPv4"
	}
	path := networkPath(p, slot, mac)
	o := binary.LittleEndian.AppendUint32(nil, 1) // LOAD_OPTION_ACTIVE
	o = binary.LittleEndian.AppendUint16(o, uint16(len(path)))
	o = append(o, utf16Bytes(fmt.Sprintf("UEFI %s (MAC:%X)", name, []byte(mac)))...)
	o = append(o, path...)
	return append(o, autoCreated[:]...)
}

// networkPath is the device path (UEFI 2.10, 10.3) PciRoot/Pci/MAC, IPv4 for the
// firmware's own loaders, and Uri for HTTP.
func networkPath(p networkProtocol, slot int, mac net.HardwareAddr) []byte {
	macNode := make([]byte, 33)
	copy(macNode, mac)
	macNode[32] = 1 // ethernet
	path := slices.Concat(
		node(2, 1, []byte{0xd0, 0x41, 0x03, 0x0a, 0, 0, 0, 0}), // PNP0A03, instance 0
		node(1, 1, []byte{0, byte(slot)}),                      // function 0
		node(3, 11, macNode),
	)
	if p != protocolROM {
		path = append(path, node(3, 12, make([]byte, 23))...) // IPv4 by DHCP
	}
	if p == protocolHTTP {
		path = append(path, node(3, 24, nil)...) // URI from the DHCP answer
	}
	return append(path, node(0x7f, 0xff, nil)...)
}

func node(kind, sub byte, data []byte) []byte {
	return append([]byte{kind, sub, byte(len(data) + 4), 0}, data...)
}

// bootProtocols is what each network card is asked for, in order.
func (c Config) bootProtocols() []networkProtocol {
	switch {
	case c.Firmware == FirmwareUEFIHTTP:
		return []networkProtocol{protocolHTTP}
	case c.HTTPFirst:
		return []networkProtocol{protocolHTTP, protocolPXE}
	}
	return []networkProtocol{protocolPXE}
}

// networkOptions are the boot options of the cards, first card first.
func (c Config) networkOptions() [][]byte {
	order := make([]int, 0, len(c.NICs))
	for i, n := range c.NICs {
		if n.BootIndex >= 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return c.NICs[a].place(a) - c.NICs[b].place(b) })
	var opts [][]byte
	for _, p := range c.bootProtocols() {
		for _, i := range order {
			opts = append(opts, networkOption(c.NICs[i].loader(p), firstNICSlot+i, c.NICs[i].MAC))
		}
	}
	return opts
}

// loader is what loads over the card when the firmware would use p: OVMF has no
// driver of its own for cards other than virtio, so their ROM loads.
func (n NIC) loader(p networkProtocol) networkProtocol {
	if n.Model == NICVirtio {
		return p
	}
	return protocolROM
}

// seedBootOrder writes the network boot options into fresh variables, first in
// BootOrder. The firmware appends the disks to it.
func (c Config) seedBootOrder(v *variables) error {
	if c.Boot != BootNetwork && c.Boot != "" || c.FixedBoot {
		return nil
	}
	var order []byte
	for i, o := range c.networkOptions() {
		if err := v.set(fmt.Sprintf("Boot%04X", i), o); err != nil {
			return err
		}
		order = binary.LittleEndian.AppendUint16(order, uint16(i))
	}
	if order == nil {
		return nil
	}
	return v.set("BootOrder", order)
}

// SetBootNext makes the machine boot from the network at its next power-on, once,
// as a BMC's boot override does. The machine must be off, UEFI, and have been
// started before; the firmware removes BootNext when it obeys it.
func SetBootNext(dir string) error {
	path := filepath.Join(dir, varsName)
	image, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("set next boot to network: %w", err)
	}
	v, err := parseVariables(image)
	if err != nil {
		return fmt.Errorf("set next boot to network in %s: %w", path, err)
	}
	if err := v.set("BootNext", []byte{0, 0}); err != nil {
		return err
	}
	return writeFileAtomic(path, v.image)
}
