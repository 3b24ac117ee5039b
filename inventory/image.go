package inventory

import (
	"slices"
	"strings"
	"time"
)

// Image is one immutable version of a golden image.
type Image struct {
	// Name and Digest together name it: "debian-12@sha256:...". Digest is that of the
	// master's manifest.
	Name   string `json:"name"`
	Digest string `json:"digest"`
	// Version is for people ("2026-11-24.1").
	Version string `json:"version,omitempty"`
	// SizeBytes is the logical disk; StoredBytes the master on disk.
	SizeBytes   int64 `json:"sizeBytes"`
	StoredBytes int64 `json:"storedBytes"`
	// LogicalSectorBytes is what its partition table counts in.
	LogicalSectorBytes int `json:"logicalSectorBytes"`
	// BootModes it boots in: bios, uefi, secureboot.
	BootModes []string `json:"bootModes,omitempty"`
	// FirstBoot is who speaks for the installed system: "cloud-init", or "none".
	FirstBoot string `json:"firstBoot"`
	// GrowPartition is the GPT name of the partition to grow, empty for none.
	GrowPartition string `json:"growPartition,omitempty"`
	// ContentDigest covers the disk's bytes alone, however they are stored.
	ContentDigest string `json:"contentDigest,omitempty"`
	// Origin is where it comes from, for people: "recipe debian-12", "import of web.qcow2".
	Origin string `json:"origin,omitempty"`
	// RecipeDigest, InputsDigest and Builder say what a built image was made from and by:
	// the recipe's text, the pinned inputs, the builder's version.
	RecipeDigest string    `json:"recipeDigest,omitempty"`
	InputsDigest string    `json:"inputsDigest,omitempty"`
	Builder      string    `json:"builder,omitempty"`
	Created      time.Time `json:"created"`
	// Tests are the boots that were watched, oldest first; Signers the IDs of the keys
	// that signed it. They come after the image.
	Tests   []ImageTest `json:"tests,omitempty"`
	Signers []string    `json:"signers,omitempty"`
}

// BootsBy reports whether it boots in a mode (bios, uefi, secureboot). One whose modes are
// not known may; no mode asked for is always right.
func (i Image) BootsBy(mode string) bool {
	return mode == "" || len(i.BootModes) == 0 || slices.Contains(i.BootModes, mode)
}

// Channel is a movable pointer: name "debian-12", channel "stable".
type Channel struct {
	Name    string    `json:"name"`
	Channel string    `json:"channel"`
	Digest  string    `json:"digest"`
	Moved   time.Time `json:"moved"`
}

// ChannelMove is one line of a channel's history.
type ChannelMove struct {
	Channel string    `json:"channel"`
	Digest  string    `json:"digest"`
	At      time.Time `json:"at"`
	// Why it was moved, for people: "promoted from candidate", "rolled back by ann".
	Why string `json:"why,omitempty"`
}

// ImageRef is a parsed reference: NAME, NAME:CHANNEL or NAME@DIGEST.
type ImageRef struct {
	Name    string
	Channel string
	Digest  string
}

// DefaultChannel is what a bare NAME means.
const DefaultChannel = "stable"

// ParseImageRef reads a reference. A bare name means its stable channel. Anything else
// than the three forms is ErrInvalid.
func ParseImageRef(s string) (ImageRef, error) {
	if name, digest, ok := strings.Cut(s, "@"); ok {
		if CheckImageName(name) != nil || !validDigest(digest) {
			return ImageRef{}, Invalid("image reference %q (want NAME@sha256:HEX, with 12 digits or more)", s)
		}
		return ImageRef{Name: name, Digest: digest}, nil
	}
	name, channel, ok := strings.Cut(s, ":")
	if !ok {
		channel = DefaultChannel
	}
	if CheckImageName(name) != nil || CheckName(channel) != nil {
		return ImageRef{}, Invalid("image reference %q (want NAME, NAME:CHANNEL or NAME@sha256:HEX)", s)
	}
	return ImageRef{Name: name, Channel: channel}, nil
}

// CheckImageName allows DNS labels joined with dots ("debian-12", "win.2022").
func CheckImageName(name string) error {
	for _, part := range strings.Split(name, ".") {
		if CheckName(part) != nil {
			return Invalid("image name %q (want a-z, 0-9, - and dots)", name)
		}
	}
	return nil
}

func validDigest(d string) bool {
	hex, ok := strings.CutPrefix(d, "sha256:")
	return ok && len(hex) >= 12 && len(hex) <= 64 && strings.Trim(hex, "0123456789abcdef") == ""
}

// String is the reference's canonical form.
func (r ImageRef) String() string {
	if r.Digest != "" {
		return r.Name + "@" + r.Digest
	}
	return r.Name + ":" + r.Channel
}
