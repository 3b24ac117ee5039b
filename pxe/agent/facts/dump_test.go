package facts

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
)

// dump builds a machine's tree from the specifications, as doc.go describes it.
type dump struct {
	t    *testing.T
	root string
}

func newDump(t *testing.T) *dump {
	d := &dump{t, t.TempDir()}
	d.file("proc/sys/kernel/osrelease", "6.1.0-56-amd64\n")
	d.file("proc/sys/kernel/arch", "x86_64\n")
	return d
}

func (d *dump) file(name, content string) {
	d.t.Helper()
	path := filepath.Join(d.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		d.t.Fatal(err)
	}
}

func (d *dump) dir(name string) {
	d.t.Helper()
	if err := os.MkdirAll(filepath.Join(d.root, name), 0o755); err != nil {
		d.t.Fatal(err)
	}
}

// link makes a relative symbolic link, as sysfs has them; target is below the root.
func (d *dump) link(name, target string) {
	d.t.Helper()
	path := filepath.Join(d.root, name)
	rel, err := filepath.Rel(filepath.Dir(path), filepath.Join(d.root, target))
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o755)
	}
	if err == nil {
		err = os.Symlink(rel, path)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// files writes pairs of name and content below a directory.
func (d *dump) files(dir string, pairs ...string) {
	d.t.Helper()
	for i := 0; i+1 < len(pairs); i += 2 {
		d.file(dir+"/"+pairs[i], pairs[i+1]+"\n")
	}
}

// answer is what a device said to a question.
func (d *dump) answer(device, question string, b []byte) {
	d.t.Helper()
	d.file("ioctl/"+device+"/"+question, string(b))
}

// ipmi is an answer of the BMC in hexadecimal, completion code first.
func (d *dump) ipmi(question, answer string) {
	d.t.Helper()
	b, err := hex.DecodeString(answer)
	if err != nil {
		d.t.Fatal(err)
	}
	d.answer("ipmi0", question, b)
}

// pci adds a function to the bus and returns its place; ids are "vendor:device".
func (d *dump) pci(address, class, ids, driver string) string {
	d.t.Helper()
	place := "sys/devices/pci" + address[:7] + "/" + address
	vendor, device, _ := strings.Cut(ids, ":")
	d.files(place, "class", "0x"+class+"00", "vendor", "0x"+vendor, "device", "0x"+device)
	if driver != "" {
		d.dir("sys/bus/pci/drivers/" + driver)
		d.link(place+"/driver", "sys/bus/pci/drivers/"+driver)
	}
	d.link("sys/bus/pci/devices/"+address, place)
	return place
}

// nic adds an interface to a device; speed 0 is no link.
func (d *dump) nic(device, name, mac string, speedMbps int) {
	d.t.Helper()
	place := device + "/net/" + name
	carrier, speed := "1", fmt.Sprint(speedMbps)
	if speedMbps == 0 {
		carrier, speed = "0", "-1"
	}
	d.files(place, "address", mac, "type", "1", "carrier", carrier, "speed", speed)
	d.link(place+"/device", device)
	d.link("sys/class/net/"+name, place)
}

// disk adds a block device below a device; pairs are files of the block device, those
// of its device begin with "device/".
func (d *dump) disk(device, name string, sizeBytes int64, sector int, rotational bool, pairs ...string) {
	d.t.Helper()
	place := device + "/block/" + name
	spins := "0"
	if rotational {
		spins = "1"
	}
	d.files(place, "size", fmt.Sprint(sizeBytes/512), "ro", "0", "removable", "0", "queue/logical_block_size", fmt.Sprint(sector),
		"queue/physical_block_size", "4096", "queue/rotational", spins)
	d.link(place+"/device", device)
	for i := 0; i+1 < len(pairs); i += 2 {
		if name, ok := strings.CutPrefix(pairs[i], "device/"); ok {
			d.file(device+"/"+name, pairs[i+1])
		} else {
			d.file(place+"/"+pairs[i], pairs[i+1])
		}
	}
	d.link("sys/block/"+name, place)
}

// nvme adds a controller with one namespace.
func (d *dump) nvme(device, ctrl, model, serial, firmware, wwid string, sizeBytes int64, log []byte) {
	d.t.Helper()
	d.files(device+"/nvme/"+ctrl, "model", model, "serial", serial, "firmware_rev", firmware)
	place := device + "/nvme/" + ctrl + "/" + ctrl + "n1"
	d.files(place, "size", fmt.Sprint(sizeBytes/512), "ro", "0", "removable", "0", "queue/logical_block_size", "512",
		"queue/physical_block_size", "512", "queue/rotational", "0", "wwid", wwid)
	d.link(place+"/device", device+"/nvme/"+ctrl)
	d.link("sys/block/"+ctrl+"n1", place)
	if log != nil {
		d.answer(ctrl+"n1", "nvme-smart", log)
		id := make([]byte, nvmeIdentifyBytes)
		binary.LittleEndian.PutUint16(id[266:], 273+70)
		d.answer(ctrl+"n1", "nvme-identify", id)
	}
}

// cpus writes /proc/cpuinfo of x86 and the kernel's memory.
func (d *dump) cpus(vendor, model, flags string, sockets, cores, threadsPerCore int, memoryBytes int64) {
	d.t.Helper()
	var b strings.Builder
	n := 0
	for thread := range threadsPerCore {
		for socket := range sockets {
			for core := range cores {
				fmt.Fprintf(&b, "processor\t: %d\nvendor_id\t: %s\nmodel name\t: %s\nphysical id\t: %d\nsiblings\t: %d\ncore id\t\t: %d\ncpu cores\t: %d\nflags\t\t: fpu %s\n\n",
					n, vendor, model, socket, cores*threadsPerCore, core, cores, flags)
				n++
			}
		}
		_ = thread
	}
	d.file("proc/cpuinfo", b.String())
	d.memory(memoryBytes)
}

func (d *dump) memory(bytes int64) {
	d.t.Helper()
	d.file("proc/meminfo", fmt.Sprintf("MemTotal:       %d kB\nMemFree:          123 kB\n", bytes>>10))
}

// efi makes the machine a UEFI one with its boot entries; secure and setup are the
// values of the two variables.
func (d *dump) efi(secure, setup byte, entries ...string) {
	d.t.Helper()
	variable := func(name string, value []byte) {
		d.file(efiVars+"/"+name+"-"+efiGlobal, "\x06\x00\x00\x00"+string(value))
	}
	variable("SecureBoot", []byte{secure})
	variable("SetupMode", []byte{setup})
	var order []byte
	for i, label := range entries {
		n := uint16(i + 1)
		order = binary.LittleEndian.AppendUint16(order, n)
		option := []byte{1, 0, 0, 0, 4, 0}
		for _, u := range utf16.Encode([]rune(label + "\x00")) {
			option = binary.LittleEndian.AppendUint16(option, u)
		}
		variable(fmt.Sprintf("Boot%04X", n), append(option, 0x7f, 0xff, 4, 0))
	}
	variable("BootOrder", order)
}

// tpm2 adds a TPM 2.0 by its four characters.
func (d *dump) tpm2(manufacturer string) {
	d.t.Helper()
	d.files(tpmDir, "tpm_version_major", "2")
	d.answer("tpm0", "tpm-manufacturer", []byte("\x80\x01\x00\x00\x00\x1b\x00\x00\x00\x00\x00\x00\x00\x00\x06\x00\x00\x00\x01\x00\x00\x01\x05"+manufacturer))
}

// tables writes the SMBIOS tables with an entry point of the version: 3.x has the 64-bit
// one, older the 32-bit one.
func (d *dump) tables(major, minor byte, records ...[]byte) {
	d.t.Helper()
	entry, table := smbiosTables(major, minor, records...)
	d.file(dmiTables+"smbios_entry_point", string(entry))
	d.file(dmiTables+"DMI", string(table))
}

func smbiosTables(major, minor byte, records ...[]byte) (entry, table []byte) {
	for i, r := range append(records, []byte{smbiosEnd, 4, 0, 0, 0, 0}) {
		binary.LittleEndian.PutUint16(r[2:], uint16(i))
		table = append(table, r...)
	}
	if major >= 3 {
		entry = append([]byte("_SM3_\x00\x18"), major, minor, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0)
		binary.LittleEndian.PutUint32(entry[12:], uint32(len(table)))
		entry[5] = checksum(entry)
		return entry, table
	}
	entry = append([]byte("_SM_\x00\x1f"), major, minor)
	entry = append(entry, make([]byte, 23)...)
	copy(entry[16:], "_DMI_")
	binary.LittleEndian.PutUint16(entry[22:], uint16(len(table)))
	binary.LittleEndian.PutUint16(entry[28:], uint16(len(records)+1))
	entry[21] = checksum(entry[16:])
	entry[4] = checksum(entry)
	return entry, table
}

func checksum(b []byte) byte {
	var sum byte
	for _, v := range b {
		sum += v
	}
	return -sum
}

// structure builds an SMBIOS structure of a length; set fills its fields, and its text
// method adds strings.
type structure struct {
	b     []byte
	texts []string
}

func newStructure(kind byte, size int, set func(s *structure)) []byte {
	s := &structure{b: make([]byte, size)}
	s.b[0], s.b[1] = kind, byte(size)
	set(s)
	out := s.b
	for _, t := range s.texts {
		out = append(append(out, t...), 0)
	}
	if len(s.texts) == 0 {
		out = append(out, 0)
	}
	return append(out, 0)
}

func (s *structure) text(off int, text string) {
	if text != "" {
		s.texts = append(s.texts, text)
		s.b[off] = byte(len(s.texts))
	}
}

func (s *structure) word(off int, v uint16)  { binary.LittleEndian.PutUint16(s.b[off:], v) }
func (s *structure) dword(off int, v uint32) { binary.LittleEndian.PutUint32(s.b[off:], v) }

func biosRecord(vendor, version, date string) []byte {
	return newStructure(smbiosBIOS, 0x18, func(s *structure) { s.text(4, vendor); s.text(5, version); s.text(8, date) })
}

func systemRecord(maker, product, serial, uuidHex, sku string) []byte {
	return newStructure(smbiosSystem, 0x1b, func(s *structure) {
		s.text(4, maker)
		s.text(5, product)
		s.text(7, serial)
		uuid, err := hex.DecodeString(uuidHex)
		if err != nil {
			panic(err)
		}
		copy(s.b[8:], uuid)
		s.text(0x19, sku)
	})
}

func boardRecord(maker, product, serial string, hosting bool) []byte {
	return newStructure(smbiosBoard, 0x0f, func(s *structure) {
		s.text(4, maker)
		s.text(5, product)
		s.text(7, serial)
		if hosting {
			s.b[9] = 1
		}
	})
}

func chassisRecord(maker string, kind byte, serial, asset string, heightU byte) []byte {
	return newStructure(smbiosChassis, 0x16, func(s *structure) {
		s.text(4, maker)
		s.b[5] = kind
		s.text(7, serial)
		s.text(8, asset)
		s.b[0x11] = heightU
	})
}

func cpuRecord(socket, maker, model string, maxMHz, cores, threads uint16) []byte {
	return newStructure(smbiosProcessor, 0x30, func(s *structure) {
		s.text(4, socket)
		s.b[5] = 3
		s.text(7, maker)
		s.text(0x10, model)
		s.word(0x14, maxMHz)
		s.b[0x18] = 0x41
		s.b[0x23], s.b[0x25] = byte(min(cores, 0xff)), byte(min(threads, 0xff))
		s.word(0x2a, cores)
		s.word(0x2e, threads)
	})
}

func emptySocket(socket string) []byte {
	return newStructure(smbiosProcessor, 0x30, func(s *structure) { s.text(4, socket); s.b[5] = 3 })
}

// dimmRecord builds a module; with 32 GiB and more the extended field is used.
func dimmRecord(slot, bank string, sizeMiB uint32, kind byte, speed uint16, maker, serial, part string, ecc bool) []byte {
	return newStructure(smbiosMemory, 0x5c, func(s *structure) {
		s.text(0x10, slot)
		s.text(0x11, bank)
		if sizeMiB == 0 {
			s.text(0x17, "NO DIMM")
			return
		}
		s.word(8, 64)
		s.word(0xa, 64)
		if ecc {
			s.word(8, 72)
		}
		s.word(0xc, uint16(sizeMiB))
		if sizeMiB >= 0x7fff {
			s.word(0xc, 0x7fff)
			s.dword(0x1c, sizeMiB)
		}
		s.b[0x12] = kind
		s.word(0x15, speed)
		s.word(0x20, speed)
		s.text(0x17, maker)
		s.text(0x18, serial)
		s.text(0x1a, part)
	})
}

func ipmiRecord() []byte {
	return newStructure(smbiosIPMI, 0x12, func(s *structure) { s.b[4], s.b[5] = 1, 0x20; s.dword(8, 0xca3) })
}
