package sim

import (
	"bufio"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

const (
	// sectorSize is VMDK's unit.
	sectorSize = 512
	// capacityMax is what vSphere allows a disk.
	capacityMax = 62 << 40
	// grainMax is more than any grain, entriesMax more than any grain table has.
	grainMax, entriesMax = 1 << 20, 4096
	// overheadMax is more than the tables of the largest disk that is sent here.
	overheadMax = 16 << 20
)

// errStream is what is not a whole streamOptimized VMDK.
var errStream = errors.New("not a whole streamOptimized VMDK")

// expand writes the disk in a streamOptimized VMDK to a flat file and returns its capacity
// (Virtual Disk Format 5.0: sparse extent header, then grains, each with its sector and
// length). Where the grain tables stand at the start, as qemu-img writes them, they say how
// many grains there must be; else an end-of-stream marker closes the file.
func expand(stream io.Reader, flat *os.File) (int64, error) {
	r := bufio.NewReaderSize(stream, 1<<16)
	head := make([]byte, sectorSize)
	if _, err := io.ReadFull(r, head); err != nil {
		return 0, fmt.Errorf("%w: header: %w", errStream, err)
	}
	le := binary.LittleEndian
	const compressed, markers = 1 << 16, 1 << 17
	if string(head[:4]) != "KDMV" || le.Uint32(head[8:])&compressed == 0 || le.Uint32(head[8:])&markers == 0 {
		return 0, fmt.Errorf("%w: no such header", errStream)
	}
	capacity, overhead := int64(le.Uint64(head[12:]))*sectorSize, int64(le.Uint64(head[64:]))*sectorSize
	if overhead < sectorSize || overhead > overheadMax || capacity < 0 || capacity > capacityMax {
		return 0, fmt.Errorf("%w: header", errStream)
	}
	meta := append(head, make([]byte, overhead-sectorSize)...)
	if _, err := io.ReadFull(r, meta[sectorSize:]); err != nil {
		return 0, fmt.Errorf("%w: metadata: %w", errStream, err)
	}
	if err := flat.Truncate(capacity); err != nil {
		return 0, err
	}
	want := grains(meta)
	for got := 0; ; got++ {
		end, err := oneMarker(r, flat)
		switch {
		case want == got && (end || errors.Is(err, io.EOF)), want < 0 && end:
			return capacity, nil
		case end:
			return 0, fmt.Errorf("%w: %d of %d grains", errStream, got, want)
		case err != nil:
			return 0, fmt.Errorf("%w: %w", errStream, err)
		}
	}
}

// grains counts the grains in the tables at the start; -1 when they stand at the end.
func grains(meta []byte) int {
	le := binary.LittleEndian
	directory, capacity, grain, entries := le.Uint64(meta[56:]), le.Uint64(meta[12:]), le.Uint64(meta[20:]), uint64(le.Uint32(meta[44:]))
	if directory == 1<<64-1 || grain == 0 || grain > grainMax || entries == 0 || entries > entriesMax {
		return -1
	}
	entry := func(at uint64) uint32 {
		if at+4 > uint64(len(meta)) {
			return 0
		}
		return le.Uint32(meta[at:])
	}
	count, tables := 0, (capacity+grain*entries-1)/(grain*entries)
	if tables > uint64(len(meta)) {
		return -1
	}
	for t := range tables {
		table := uint64(entry(directory*sectorSize+4*t)) * sectorSize
		if table == 0 {
			continue
		}
		for g := range entries {
			if entry(table+4*g) > 1 {
				count++
			}
		}
	}
	return count
}

// oneMarker reads a marker and what belongs to it; end is the end of the stream.
func oneMarker(r *bufio.Reader, flat *os.File) (end bool, err error) {
	var head [12]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return false, err
	}
	le := binary.LittleEndian
	value, size := le.Uint64(head[:]), int64(le.Uint32(head[8:]))
	if size > 0 { // a grain: value is its sector
		zr, err := zlib.NewReader(io.LimitReader(r, size))
		if err != nil {
			return false, err
		}
		grain, err := io.ReadAll(io.LimitReader(zr, grainMax))
		if err != nil {
			return false, err
		}
		if _, err := flat.WriteAt(grain, int64(value)*sectorSize); err != nil {
			return false, err
		}
		return false, skip(r, -(12+size)&(sectorSize-1))
	}
	var rest [sectorSize - 12]byte
	if _, err := io.ReadFull(r, rest[:]); err != nil {
		return false, err
	}
	if kind := le.Uint32(rest[:]); kind == 0 {
		return true, nil
	}
	return false, skip(r, int64(value)*sectorSize)
}

func skip(r io.Reader, n int64) error {
	_, err := io.CopyN(io.Discard, r, n)
	return err
}
