package master

import (
	"fmt"
	"slices"
)

// ManifestError says which field of a manifest can't be right, and why. A
// manifest with one is never applied.
type ManifestError struct {
	// Field is the JSON key, with an index for a chunk: "chunks[3].offset".
	Field  string
	Reason string
}

func (e *ManifestError) Error() string {
	return fmt.Sprintf("image manifest: %s: %s", e.Field, e.Reason)
}

// frameSlackBytes is how much longer than its content a zstd frame may be: a raw
// block adds 3 bytes to each 128 KiB, the frame header and checksum at most 22.
const frameSlackBytes = 1024

// Check refuses, as a [*ManifestError], a manifest that is not consistent:
// sizes out of range, chunks that overlap or leave the disk, or
// would need more memory than [MaxChunkBytes], a content digest that differs.
func (m *Manifest) Check() error {
	if err := m.checkHead(); err != nil {
		return err
	}
	if err := m.checkTraits(); err != nil {
		return err
	}
	var at int64
	for i, c := range m.Chunks {
		if err := errorsFirst(m.checkChunk(i, c, at), m.checkFrame(i, c)); err != nil {
			return err
		}
		at = c.End()
	}
	if got := m.contentDigest(); got != m.ContentDigest {
		return &ManifestError{"contentDigest", fmt.Sprintf("is %s, but the chunks give %s", m.ContentDigest, got)}
	}
	return nil
}

func (m *Manifest) checkHead() error {
	switch {
	case m.Format != formatName:
		return &ManifestError{"format", fmt.Sprintf("is %q, want %q", m.Format, formatName)}
	case m.Version != FormatVersion && m.Version != 1:
		return &ManifestError{"version", fmt.Sprintf("is %d, this program reads up to %d: use a matching version of ingot", m.Version, FormatVersion)}
	case m.SectorBytes != 512 && m.SectorBytes != 4096:
		return &ManifestError{"sectorBytes", fmt.Sprintf("is %d, want 512 or 4096", m.SectorBytes)}
	case m.LogicalBytes <= 0 || m.LogicalBytes > MaxLogicalBytes:
		return &ManifestError{"logicalBytes", fmt.Sprintf("is %d, want 1 to %d", m.LogicalBytes, int64(MaxLogicalBytes))}
	case m.LogicalBytes%int64(m.SectorBytes) != 0:
		return &ManifestError{"logicalBytes", fmt.Sprintf("%d is not a multiple of the %d-byte sector", m.LogicalBytes, m.SectorBytes)}
	case m.ChunkBytes <= 0 || m.ChunkBytes > MaxChunkBytes:
		return &ManifestError{"chunkBytes", fmt.Sprintf("is %d, want 1 to %d", m.ChunkBytes, MaxChunkBytes)}
	case m.Version == 1 && m.DataBytes <= 0, m.Version != 1 && m.DataBytes != 0:
		return &ManifestError{"dataBytes", fmt.Sprintf("is %d, in a manifest of version %d", m.DataBytes, m.Version)}
	}
	return nil
}

func (m *Manifest) checkTraits() error {
	for _, b := range m.BootModes {
		if !slices.Contains([]BootMode{BootBIOS, BootUEFI, BootSecureBoot}, b) {
			return &ManifestError{"bootModes", fmt.Sprintf("%q is not bios, uefi or secureboot", b)}
		}
	}
	if m.FirstBoot != FirstBootCloudInit && m.FirstBoot != FirstBootNone {
		return &ManifestError{"firstBoot", fmt.Sprintf("is %q, want cloud-init or none", m.FirstBoot)}
	}
	return nil
}

func chunkFault(i int, key, format string, args ...any) error {
	return &ManifestError{fmt.Sprintf("chunks[%d].%s", i, key), fmt.Sprintf(format, args...)}
}

func (m *Manifest) checkChunk(i int, c Chunk, at int64) error {
	fault := func(key, format string, args ...any) error { return chunkFault(i, key, format, args...) }
	sector := int64(m.SectorBytes)
	switch {
	case c.Length <= 0 || c.Length > m.ChunkBytes:
		return fault("length", "is %d, want 1 to chunkBytes %d", c.Length, m.ChunkBytes)
	case c.Offset < at:
		return fault("offset", "%d overlaps the chunk before, which ends at %d", c.Offset, at)
	case c.Offset > m.LogicalBytes-c.Length:
		return fault("offset", "%d and length %d pass the disk's end at %d", c.Offset, c.Length, m.LogicalBytes)
	case c.Offset%sector != 0 || c.Length%sector != 0:
		return fault("offset", "%d or length %d is not a multiple of the %d-byte sector", c.Offset, c.Length, sector)
	case c.SHA256.IsZero():
		return fault("sha256", "is missing")
	}
	return nil
}

// checkFrame checks what only version 1 says of a chunk.
func (m *Manifest) checkFrame(i int, c Chunk) error {
	switch {
	case m.Version != 1 && (c.FileOffset != 0 || c.FileLength != 0 || !c.FrameSHA256.IsZero()):
		return chunkFault(i, "frameSha256", "and fileOffset and fileLength are keys of version 1")
	case m.Version != 1:
		return nil
	case c.FileLength <= 0 || c.FileLength > c.MaxFrameBytes():
		return chunkFault(i, "fileLength", "is %d for a chunk of %d bytes", c.FileLength, c.Length)
	case c.FileOffset < 0 || c.FileOffset > m.DataBytes-c.FileLength:
		return chunkFault(i, "fileOffset", "%d and fileLength %d pass the data file's end at %d", c.FileOffset, c.FileLength, m.DataBytes)
	case c.FrameSHA256.IsZero():
		return chunkFault(i, "frameSha256", "is missing")
	}
	return nil
}
