package images

import (
	"io"

	"ingot/images/master"
	"ingot/inventory"
)

// gptSignature begins the header of a GUID partition table, which is in sector 1
// (UEFI 2.10 section 5.3.2).
const gptSignature = "EFI PART"

// sectorBytes finds what the disk's partition table counts in: 512 when there is none.
func (s *source) sectorBytes() (int, error) {
	head := make([]byte, 2*4096)
	if s.stream != nil {
		first, err := s.stream.peek(len(head))
		if err != nil {
			return 0, err
		}
		head = head[:copy(head, first)]
	} else {
		n, err := s.disk.ReadAt(head, 0)
		if err != nil && err != io.EOF {
			return 0, err
		}
		head = head[:n]
	}
	if !signatureAt(head, 512) && signatureAt(head, 4096) {
		return 4096, nil
	}
	return 512, nil
}

func signatureAt(head []byte, offset int) bool {
	return len(head) >= offset+len(gptSignature) && string(head[offset:offset+len(gptSignature)]) == gptSignature
}

// sayable errors when a derived format can't say what an image's partition table counts in.
func sayable(m *master.Manifest, format Format) error {
	if m.SectorBytes == 512 || format == FormatQcow2 {
		return nil
	}
	return inventory.Invalid("the image is made for disks with %d-byte sectors, and %s is read with 512: export raw, raw.zst or qcow2, and attach it as a disk with %[1]d-byte sectors", m.SectorBytes, format)
}
