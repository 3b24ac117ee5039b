package hypervisor

import (
	"context"
	"io"
	"slices"

	"ingot/inventory"
)

// Format is a disk image's file format.
type Format string

// The formats that hosts take.
const (
	QCOW2 Format = "qcow2"
	VMDK  Format = "vmdk" // streamOptimized
	VHDX  Format = "vhdx"
)

// Image is a golden image to be put on a host.
type Image struct {
	// Digest names it ("sha256:..."), Name is for people.
	Digest, Name string
	// SizeBytes is the logical disk.
	SizeBytes int64
	// BootModes it boots in: bios, uefi, secureboot.
	BootModes []string
	// Open gives it in a format.
	Open func(context.Context, Format) (Artefact, error)
}

// Artefact is an image's file in one format.
type Artefact struct {
	// Content is read once from the start, or at places; the driver closes it.
	Content interface {
		io.ReadCloser
		io.ReaderAt
	}
	SizeBytes int64
	// SHA256 is of the file, in hex.
	SHA256 string
}

// Progress of a transfer to a host.
type Progress struct{ Bytes, TotalBytes int64 }

// Mode is the firmware to boot the image with: the one asked for if the image knows it,
// UEFI before BIOS if none was. ErrInvalid says what the image boots in.
func (i Image) Mode(asked inventory.FirmwareMode, secureBoot bool) (inventory.FirmwareMode, error) {
	has := func(mode string) bool { return len(i.BootModes) == 0 || slices.Contains(i.BootModes, mode) }
	switch {
	case secureBoot && !has("secureboot"):
		return "", inventory.Invalid("image %s boots in %v, not with Secure Boot", i.Name, i.BootModes)
	case asked == "" && has("uefi"):
		return inventory.FirmwareUEFI, nil
	case asked == "":
		return inventory.FirmwareBIOS, nil
	case !has(string(asked)):
		return "", inventory.Invalid("image %s boots in %v, not in %s", i.Name, i.BootModes, asked)
	}
	return asked, nil
}
