package images

import (
	"encoding/binary"
	"errors"
	"io"
	"sync"

	"ingot/images/master"
	"ingot/inventory"
)

// Numbers of the format (QEMU docs/interop/qcow2.txt).
const (
	qcow2OffsetMask  = 0x00fffffffffffe00
	qcow2Compressed  = 1 << 62
	qcow2ReadsZero   = 1
	qcow2Dirty       = 1
	qcow2Corrupt     = 2
	qcow2CompressBit = 8
	qcow2ExtendedL2  = 16
	// qcow2MaxL1Bytes is QEMU's own limit.
	qcow2MaxL1Bytes = 32 << 20
	qcow2CachedL2   = 64
)

// errQcow2Feature is about a file that may be right, and that qemu-img has to read.
var errQcow2Feature = errors.New("a qcow2 feature that is left to qemu-img")

// qcow2 reads the disk in a qcow2 file in place, on all processors: qemu-img would
// write it out first. A file that needs others was refused before (checkQcow2). It is
// safe for many goroutines.
type qcow2 struct {
	file        io.ReaderAt
	fileBytes   int64
	size        int64
	clusterBits uint
	zstd        bool
	l1          []uint64

	mu     sync.Mutex
	tables map[int64][]uint64 // L2, by their place
	order  []int64            // of tables, oldest first
}

// openQcow2 reads the header and checks that all that the tables point to is in the file.
func openQcow2(f io.ReaderAt, fileBytes int64) (*qcow2, error) {
	head, err := readHead(f)
	if err != nil {
		return nil, err
	}
	if err := checkQcow2(head); err != nil {
		return nil, err
	}
	q := &qcow2{file: f, fileBytes: fileBytes, tables: map[int64][]uint64{}}
	if err := q.header(head); err != nil {
		return nil, err
	}
	return q, q.check()
}

func (q *qcow2) header(head []byte) error {
	q.clusterBits = uint(binary.BigEndian.Uint32(head[20:]))
	size := binary.BigEndian.Uint64(head[24:])
	l1Entries, l1At := int64(binary.BigEndian.Uint32(head[36:])), int64(binary.BigEndian.Uint64(head[40:]))
	var features uint64
	if binary.BigEndian.Uint32(head[4:]) == 3 {
		features = binary.BigEndian.Uint64(head[72:])
	}
	switch {
	case q.clusterBits < 9 || q.clusterBits > 21:
		return inventory.Invalid("the qcow2 header is damaged: clusters of 2^%d bytes", q.clusterBits)
	case size == 0 || size > master.MaxLogicalBytes:
		return inventory.Invalid("the qcow2 file claims a disk of %d bytes", size)
	case features&qcow2Corrupt != 0:
		return inventory.Invalid("the qcow2 file is marked as corrupt: repair it first (qemu-img check -r all)")
	case features&^(qcow2Dirty|qcow2CompressBit) != 0:
		return errQcow2Feature
	}
	q.size = int64(size)
	if features&qcow2CompressBit != 0 {
		if head[104] > 1 {
			return errQcow2Feature
		}
		q.zstd = head[104] == 1
	}
	if want := (q.size + q.l2Span() - 1) / q.l2Span(); l1Entries < want || l1Entries*8 > qcow2MaxL1Bytes || want*8 > qcow2MaxL1Bytes {
		return inventory.Invalid("the qcow2 header is damaged: a first table of %d entries, the disk needs %d", l1Entries, want)
	} else {
		l1Entries = want
	}
	var err error
	q.l1, err = q.table(l1At, l1Entries)
	return err
}

func (q *qcow2) damaged(what string, at int64) error {
	return inventory.Invalid("the qcow2 file is damaged or cut short: it has %d bytes, and %s at %d", q.fileBytes, what, at)
}

// NextData implements [master.DataSeeker].
func (q *qcow2) NextData(off int64) (int64, error) {
	for off < q.size {
		if q.l1[off/q.l2Span()]&qcow2OffsetMask == 0 {
			off = (off/q.l2Span() + 1) * q.l2Span()
			continue
		}
		e, err := q.entry(off)
		if err != nil || e != 0 {
			return off, err
		}
		off = (off>>q.clusterBits + 1) << q.clusterBits
	}
	return q.size, nil
}

// ReadAt implements [io.ReaderAt].
func (q *qcow2) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= q.size {
		return 0, io.EOF
	}
	var short error
	if int64(len(p)) > q.size-off {
		p, short = p[:q.size-off], io.EOF
	}
	for done := 0; done < len(p); {
		n, err := q.readRun(p[done:], off+int64(done))
		if err != nil {
			return done, err
		}
		done += n
	}
	return len(p), short
}

// readRun reads clusters that lie one after the other in the file, or one that is
// compressed or zero.
func (q *qcow2) readRun(p []byte, off int64) (int, error) {
	e, err := q.entry(off)
	if err != nil {
		return 0, err
	}
	inside := off & (q.cluster() - 1)
	n := int(min(int64(len(p)), q.cluster()-inside))
	if e == 0 {
		clear(p[:n])
		return n, nil
	}
	if e&qcow2Compressed != 0 {
		return n, q.readCompressed(p[:n], e, inside)
	}
	at := int64(e & qcow2OffsetMask)
	for n < len(p) {
		next, err := q.entry(off + int64(n))
		if err != nil {
			return 0, err
		}
		if next == 0 || next&qcow2Compressed != 0 || int64(next&qcow2OffsetMask) != at+inside+int64(n) {
			break
		}
		n = int(min(int64(len(p)), int64(n)+q.cluster()))
	}
	if got, err := q.file.ReadAt(p[:n], at+inside); got < n {
		if err == io.EOF {
			return 0, q.damaged("data", at)
		}
		return 0, err
	}
	return n, nil
}
