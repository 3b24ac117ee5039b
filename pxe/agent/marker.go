package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"ingot/images/master"
)

// The marker stands at the end of the last partition, behind the seed, so that nothing
// else is put there; its place follows from the disk's size alone, so that it is found
// while the partition table is not yet written.
const (
	markerName           = "ingot-marker"
	markerPartitionBytes = 1 << 20
	markerBytes          = 4096
	markerMagic          = "INGOT-MARKER-1\n"
)

// markerType is the partition type of the marker (a random GUID of Ingot's own).
var markerType = func() master.GUID {
	g, err := master.ParseGUID("6b0c1f52-91c6-4f0e-9d4b-7d0f3a9c2e11")
	if err != nil {
		panic("agent: marker type: " + err.Error())
	}
	return g
}()

// marker says what Ingot did to a disk.
type marker struct {
	Inventory  string    `json:"inventory"`
	Machine    string    `json:"machine"`
	Generation int64     `json:"generation"`
	Image      string    `json:"image"`
	State      string    `json:"state"`
	At         time.Time `json:"at"`
	// Chunks from the start of the image are written, while State is markerWriting.
	Chunks int `json:"chunks,omitempty"`
}

// The marker's states.
const (
	markerWriting  = "writing"
	markerComplete = "complete"
)

// markerOffset is where AddLast puts a partition of markerPartitionBytes: the last
// multiple of 1 MiB before the backup partition table (a header sector and 16 KiB).
func markerOffset(diskBytes int64, sectorBytes int) int64 {
	tail := int64(sectorBytes) + 16<<10
	return (diskBytes - tail - markerPartitionBytes) &^ (1<<20 - 1)
}

// errNoMarker: the disk has none, or one that is not readable as one.
var errNoMarker = errors.New("no marker")

func readMarker(disk io.ReaderAt, diskBytes int64, sectorBytes int) (marker, error) {
	offset := markerOffset(diskBytes, sectorBytes)
	if offset < 0 {
		return marker{}, errNoMarker // no image fits such a disk
	}
	buf := make([]byte, markerBytes)
	if _, err := disk.ReadAt(buf, offset); err != nil && !errors.Is(err, io.EOF) {
		return marker{}, fmt.Errorf("read marker: %w", err)
	}
	return parseMarker(buf)
}

func parseMarker(buf []byte) (marker, error) {
	text, ok := bytes.CutPrefix(buf, []byte(markerMagic))
	if !ok {
		return marker{}, errNoMarker
	}
	var m marker
	line, _, _ := bytes.Cut(text, []byte("\n"))
	if err := json.Unmarshal(line, &m); err != nil || m.Inventory == "" || m.Machine == "" {
		return marker{}, errNoMarker
	}
	return m, nil
}

func writeMarker(disk master.Target, m marker) error {
	if err := putMarker(disk, m); err != nil {
		return err
	}
	return disk.Sync()
}

// putMarker is writeMarker that does not wait for the disk.
func putMarker(disk master.Target, m marker) error {
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("write marker: %w", err)
	}
	buf := make([]byte, markerBytes)
	if len(markerMagic)+len(text)+1 > len(buf) {
		return fmt.Errorf("write marker: %d bytes are too many", len(text))
	}
	copy(buf, markerMagic+string(text)+"\n")
	if _, err := disk.WriteAt(buf, markerOffset(disk.SizeBytes(), disk.SectorBytes())); err != nil {
		return fmt.Errorf("write marker: %w", err)
	}
	return nil
}
