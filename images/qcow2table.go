package images

import (
	"encoding/binary"
	"slices"
)

func (q *qcow2) cluster() int64 { return 1 << q.clusterBits }

// l2Span is how much of the disk one second table describes.
func (q *qcow2) l2Span() int64 { return q.cluster() * q.cluster() / 8 }

func (q *qcow2) table(at, entries int64) ([]uint64, error) {
	if at <= 0 || at > q.fileBytes-entries*8 {
		return nil, q.damaged("a table", at)
	}
	text := make([]byte, entries*8)
	if _, err := q.file.ReadAt(text, at); err != nil {
		return nil, q.damaged("a table", at)
	}
	t := make([]uint64, entries)
	for i := range t {
		t[i] = binary.BigEndian.Uint64(text[i*8:])
	}
	return t, nil
}

// l2 returns the second table of an L1 entry; nil when it has none.
func (q *qcow2) l2(i int64) ([]uint64, error) {
	at := int64(q.l1[i] & qcow2OffsetMask)
	if at == 0 {
		return nil, nil
	}
	q.mu.Lock()
	t, ok := q.tables[at]
	q.mu.Unlock()
	if ok {
		return t, nil
	}
	t, err := q.table(at, q.cluster()/8)
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, ok := q.tables[at]; ok {
		return t, nil
	}
	if len(q.order) == qcow2CachedL2 {
		delete(q.tables, q.order[0])
		q.order = slices.Delete(q.order, 0, 1)
	}
	q.tables[at], q.order = t, append(q.order, at)
	return t, nil
}

// check looks at each entry once.
func (q *qcow2) check() error {
	seen := map[int64]bool{}
	for i := range q.l1 {
		if at := int64(q.l1[i] & qcow2OffsetMask); at == 0 || seen[at] {
			continue
		} else {
			seen[at] = true
		}
		t, err := q.l2(int64(i))
		if err != nil {
			return err
		}
		left := (q.size - int64(i)*q.l2Span() + q.cluster() - 1) / q.cluster()
		for n, e := range t[:min(int64(len(t)), left)] {
			last := int64(i)*int64(len(t))+int64(n) == (q.size-1)>>q.clusterBits
			if err := q.checkEntry(e, last); err != nil {
				return err
			}
		}
	}
	return nil
}

func (q *qcow2) checkEntry(e uint64, last bool) error {
	if e&qcow2Compressed != 0 {
		if at, _ := q.compressedAt(e); at >= q.fileBytes {
			return q.damaged("compressed data", at)
		}
		return nil
	}
	at := int64(e & qcow2OffsetMask)
	if at == 0 || e&qcow2ReadsZero != 0 {
		return nil
	}
	length := q.cluster()
	if last {
		length = (q.size-1)&(length-1) + 1 // the file may end with the disk
	}
	if at&(q.cluster()-1) != 0 || at > q.fileBytes-length {
		return q.damaged("data", at)
	}
	return nil
}

// compressedAt places compressed data: the format counts it in sectors of 512 bytes.
func (q *qcow2) compressedAt(e uint64) (at, length int64) {
	bits := 62 - (q.clusterBits - 8)
	at = int64(e & (1<<bits - 1))
	sectors := int64(e>>bits&(1<<(q.clusterBits-8)-1)) + 1
	return at, sectors*512 - at&511
}

// entry returns the L2 entry for an offset of the disk; 0 reads as zero.
func (q *qcow2) entry(off int64) (uint64, error) {
	t, err := q.l2(off / q.l2Span())
	if err != nil || t == nil {
		return 0, err
	}
	e := t[off%q.l2Span()>>q.clusterBits]
	if e&qcow2Compressed == 0 && (e&qcow2ReadsZero != 0 || e&qcow2OffsetMask == 0) {
		return 0, nil
	}
	return e, nil
}
