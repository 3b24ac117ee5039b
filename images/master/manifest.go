package master

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
)

// Limits that a manifest may not pass. They bound what a reader allocates.
const (
	// FormatVersion is the version this package writes. It reads version 1 too, which
	// named the frames in the manifest.
	FormatVersion = 2
	// MaxManifestBytes is the largest manifest document that is read.
	MaxManifestBytes = 128 << 20
	// MaxChunkBytes is the largest chunk, so that a reader needs few buffers.
	MaxChunkBytes = 16 << 20
	// MaxLogicalBytes is the largest disk, 64 TiB.
	MaxLogicalBytes = 64 << 40

	formatName = "ingot-master"
)

// BootMode is a way a machine's firmware can start the image.
type BootMode string

// The boot modes.
const (
	BootBIOS       BootMode = "bios"
	BootUEFI       BootMode = "uefi"
	BootSecureBoot BootMode = "secureboot"
)

// FirstBoot says what in the image reads the seed at its first start.
type FirstBoot string

// The first-boot agents.
const (
	// FirstBootCloudInit reads a NoCloud seed from a file system labelled CIDATA.
	FirstBootCloudInit FirstBoot = "cloud-init"
	// FirstBootNone reads nothing: the disk is written and that is all.
	FirstBootNone FirstBoot = "none"
)

// Traits is what the maker of an image knows about it and its bytes don't tell.
type Traits struct {
	// SectorBytes is the logical sector size the partition table was written
	// for: 512 or 4096. A disk with another one can't boot the image.
	SectorBytes int `json:"sectorBytes"`
	// GrowPartition is the GPT name of the partition to grow to the disk's end.
	// Empty: none is grown.
	GrowPartition string `json:"growPartition,omitempty"`
	// BootModes lists the firmware modes the image starts under.
	BootModes []BootMode `json:"bootModes,omitempty"`
	// FirstBoot says what reads the seed.
	FirstBoot FirstBoot `json:"firstBoot"`
	// RootFileSystem is the type of the root file system, like "ext4"; empty
	// when unknown.
	RootFileSystem string `json:"rootFileSystem,omitempty"`
}

// Chunk is one run of the logical disk that holds data.
type Chunk struct {
	// Offset and Length place the raw bytes on the logical disk.
	Offset int64 `json:"offset"`
	Length int64 `json:"length"`
	// FileOffset, FileLength and FrameSHA256 are those of the zstd frame that the maker of
	// a manifest of version 1 wrote. Frames may have been made anew since: only what
	// converts a store from that time reads the first two. Zero in version 2.
	FileOffset  int64  `json:"fileOffset,omitzero"`
	FileLength  int64  `json:"fileLength,omitzero"`
	FrameSHA256 Digest `json:"frameSha256,omitzero"`
	// SHA256 is the digest of the raw bytes. They are checked after they are unpacked,
	// into room for Length bytes and no more, and before anything is done with them.
	SHA256 Digest `json:"sha256"`
}

// End returns the logical offset after the chunk.
func (c Chunk) End() int64 { return c.Offset + c.Length }

// Name is what a store calls the chunk: by its content, and in version 1 by its frame.
func (c Chunk) Name() Digest {
	if !c.FrameSHA256.IsZero() {
		return c.FrameSHA256
	}
	return c.SHA256
}

// MaxFrameBytes is the longest that a frame of the chunk may be.
func (c Chunk) MaxFrameBytes() int64 { return c.Length + frameSlackBytes }

// Manifest describes one master. A parsed one has passed [Manifest.Check].
type Manifest struct {
	// Format is "ingot-master".
	Format string `json:"format"`
	// Version is [FormatVersion] or 1.
	Version int `json:"version"`
	// LogicalBytes is the size of the raw disk.
	LogicalBytes int64 `json:"logicalBytes"`
	// ChunkBytes is the largest raw chunk.
	ChunkBytes int64 `json:"chunkBytes"`
	// DataBytes is, in version 1, the size that the data file had.
	DataBytes int64 `json:"dataBytes,omitzero"`
	// ContentDigest covers the raw disk alone: size, and place and hash of each
	// chunk. Two masters of the same disk that were cut by the same rule share it,
	// however they are compressed.
	ContentDigest Digest `json:"contentDigest"`
	Traits
	// Chunks are sorted by Offset; they don't overlap.
	Chunks []Chunk `json:"chunks"`
}

// ParseManifest reads a manifest document and checks it. It errors on unknown
// keys, trailing bytes and everything [Manifest.Check] refuses.
func ParseManifest(document []byte) (*Manifest, error) {
	if len(document) > MaxManifestBytes {
		return nil, &ManifestError{Field: "document", Reason: fmt.Sprintf("%d bytes, more than the limit of %d", len(document), MaxManifestBytes)}
	}
	dec := json.NewDecoder(bytes.NewReader(document))
	dec.DisallowUnknownFields()
	var m Manifest
	if err := dec.Decode(&m); err != nil {
		return nil, fmt.Errorf("read image manifest: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, &ManifestError{Field: "document", Reason: "bytes follow the JSON object"}
	}
	if err := m.Check(); err != nil {
		return nil, err
	}
	return &m, nil
}

// ParseManifestDigest is [ParseManifest] for a document that must have a given
// digest: a reader which trusts only the digest calls it.
func ParseManifestDigest(document []byte, want Digest) (*Manifest, error) {
	if got := DigestOf(document); got != want {
		return nil, fmt.Errorf("read image manifest: its digest is %s, want %s: it was changed or cut short", got, want)
	}
	return ParseManifest(document)
}

// Document returns the JSON document, whose SHA-256 is the image digest. The
// same manifest always gives the same bytes.
func (m *Manifest) Document() ([]byte, error) {
	document, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return nil, fmt.Errorf("write image manifest: %w", err)
	}
	return append(document, '\n'), nil
}

// ChunkedBytes is the sum of the chunk lengths: what is written to a disk.
func (m *Manifest) ChunkedBytes() int64 {
	var n int64
	for _, c := range m.Chunks {
		n += c.Length
	}
	return n
}

// Hole is a run of the logical disk that reads as zero.
type Hole struct{ Offset, Length int64 }

// Holes returns the runs between the chunks, in order.
func (m *Manifest) Holes() []Hole {
	var holes []Hole
	var at int64
	for _, c := range m.Chunks {
		if c.Offset > at {
			holes = append(holes, Hole{at, c.Offset - at})
		}
		at = c.End()
	}
	if at < m.LogicalBytes {
		holes = append(holes, Hole{at, m.LogicalBytes - at})
	}
	return holes
}

// contentDigest hashes the size and each chunk's place and hash.
func (m *Manifest) contentDigest() Digest {
	h := sha256.New()
	var num [8]byte
	put := func(n int64) {
		binary.BigEndian.PutUint64(num[:], uint64(n))
		h.Write(num[:])
	}
	put(m.LogicalBytes)
	for _, c := range m.Chunks {
		put(c.Offset)
		put(c.Length)
		h.Write(c.SHA256[:])
	}
	return Digest(h.Sum(nil))
}
