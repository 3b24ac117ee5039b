package images

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"ingot/inventory"
)

// Format is how an image file stores its disk.
type Format string

// The formats that can be imported and exported.
const (
	FormatRaw   Format = "raw"
	FormatZstd  Format = "raw.zst"
	FormatQcow2 Format = "qcow2"
	FormatVMDK  Format = "vmdk"
	FormatVHDX  Format = "vhdx"
	FormatOVA   Format = "ova"
)

// headBytes is as much of a file as is looked at.
const headBytes = 64 << 10

// detect says what a file is from its first bytes. What no magic names is raw
// only when it has a boot sector, so that no text or archive becomes a disk.
func detect(head []byte) (Format, error) {
	switch {
	case bytes.HasPrefix(head, []byte("QFI\xfb")):
		return FormatQcow2, nil
	case bytes.HasPrefix(head, []byte("KDMV")), bytes.HasPrefix(head, []byte("# Disk DescriptorFile")):
		return FormatVMDK, nil
	case bytes.HasPrefix(head, []byte("vhdxfile")):
		return FormatVHDX, nil
	case len(head) >= 512 && string(head[257:262]) == "ustar":
		return FormatOVA, nil
	case len(head) >= 512 && head[510] == 0x55 && head[511] == 0xAA:
		return FormatRaw, nil
	}
	return "", inventory.Invalid("the file is no qcow2, vmdk, vhdx or ova, and has no boot sector: name its format when it is a raw disk (--format raw)")
}

// checkHead refuses what a foreign file may reach beyond itself: qemu-img would
// open any path that the header names.
func checkHead(format Format, r io.ReaderAt, head []byte) error {
	switch format {
	case FormatRaw:
		return checkRawHead(head)
	case FormatVHDX:
		return checkVHDX(r, head)
	case FormatQcow2:
		return checkQcow2(head)
	case FormatVMDK:
		return checkVMDK(r, head)
	}
	return nil
}

// checkRawHead refuses a file that is no raw disk although it was called one.
func checkRawHead(head []byte) error {
	for magic, name := range map[string]string{"QFI\xfb": "qcow2", "KDMV": "vmdk", "vhdxfile": "vhdx"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return inventory.Invalid("the file is %s, not raw", name)
		}
	}
	return nil
}

// checkQcow2 reads the header (QEMU docs/interop/qcow2.txt).
func checkQcow2(head []byte) error {
	if len(head) < 104 || !bytes.HasPrefix(head, []byte("QFI\xfb")) {
		return inventory.Invalid("the file is no qcow2, or its header is cut short")
	}
	version := binary.BigEndian.Uint32(head[4:])
	switch {
	case version != 2 && version != 3:
		return inventory.Invalid("qcow2 version %d is not supported", version)
	case binary.BigEndian.Uint64(head[8:]) != 0:
		return inventory.Invalid("the qcow2 file needs a backing file: flatten it first (qemu-img convert)")
	case binary.BigEndian.Uint32(head[32:]) != 0:
		return inventory.Invalid("the qcow2 file is encrypted: decrypt it first (qemu-img convert)")
	case version == 3 && binary.BigEndian.Uint64(head[72:])&4 != 0:
		return inventory.Invalid("the qcow2 file keeps its data in another file: flatten it first (qemu-img convert)")
	case binary.BigEndian.Uint32(head[60:]) != 0:
		return inventory.Invalid("the qcow2 file has %d snapshots inside, and which state is meant is not known: flatten it first (qemu-img convert)", binary.BigEndian.Uint32(head[60:]))
	}
	return nil
}

// checkVMDK reads the sparse header (VMware Virtual Disk Format 1.1) and the
// descriptor in it. Descriptor-only files name others and are refused.
func checkVMDK(r io.ReaderAt, head []byte) error {
	if !bytes.HasPrefix(head, []byte("KDMV")) || len(head) < 512 {
		return inventory.Invalid("the vmdk file is only a descriptor of other files: give the monolithicSparse or streamOptimized form")
	}
	if binary.LittleEndian.Uint64(head[12:]) == 0 {
		return inventory.Invalid("the vmdk header has no capacity: the disk is in other files")
	}
	offset, sectors := binary.LittleEndian.Uint64(head[28:]), binary.LittleEndian.Uint64(head[36:])
	if sectors == 0 || sectors > 128 || offset == 0 || offset > 1<<30 {
		return inventory.Invalid("the vmdk file has no descriptor of a sane size")
	}
	descriptor := make([]byte, sectors*512)
	if _, err := r.ReadAt(descriptor, int64(offset*512)); err != nil {
		return fmt.Errorf("read vmdk descriptor: %w", err)
	}
	return checkVMDKDescriptor(string(bytes.TrimRight(descriptor, "\x00")))
}

func checkVMDKDescriptor(descriptor string) error {
	kind := ""
	for line := range strings.Lines(descriptor) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.Trim(strings.TrimSpace(value), `"`)
		switch strings.TrimSpace(key) {
		case "createType":
			kind = value
		case "parentCID":
			if value != "ffffffff" {
				return inventory.Invalid("the vmdk file needs a parent disk: consolidate its snapshots first")
			}
		case "parentFileNameHint":
			return inventory.Invalid("the vmdk file names a parent disk: consolidate its snapshots first")
		}
	}
	if kind != "monolithicSparse" && kind != "streamOptimized" {
		return inventory.Invalid("vmdk of type %q is not supported: give the monolithicSparse or streamOptimized form", kind)
	}
	return nil
}
