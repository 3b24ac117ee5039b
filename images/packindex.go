package images

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"ingot/images/master"
)

// packEntry is where one frame lies in its pack.
type packEntry struct {
	sum            master.Digest
	offset, length int64
}

func (e packEntry) end() int64 { return e.offset + e.length }

// An index file is a magic, the entries in the order of the pack (32 bytes of SHA-256,
// 8 of offset, 4 of length, big endian), and the SHA-256 of all that. The magic tells
// whether the frames hold the bytes as they are, to be compressed when there is time.
const (
	packMagic      = "INGOTPK1"
	plainMagic     = "INGOTPK2"
	packEntryBytes = sha256.Size + 8 + 4
)

// packContent is what an index says.
type packContent struct {
	entries []packEntry
	plain   bool
}

func encodeIndex(c packContent) []byte {
	magic := packMagic
	if c.plain {
		magic = plainMagic
	}
	text := append(make([]byte, 0, len(packMagic)+len(c.entries)*packEntryBytes+sha256.Size), magic...)
	for _, e := range c.entries {
		text = append(text, e.sum[:]...)
		text = binary.BigEndian.AppendUint64(text, uint64(e.offset))
		text = binary.BigEndian.AppendUint32(text, uint32(e.length))
	}
	sum := sha256.Sum256(text)
	return append(text, sum[:]...)
}

// parseIndex errors when the text is not what encodeIndex wrote.
func parseIndex(text []byte) (c packContent, err error) {
	body := len(text) - len(packMagic) - sha256.Size
	c.plain = bytes.HasPrefix(text, []byte(plainMagic))
	if body < 0 || body%packEntryBytes != 0 || !c.plain && !bytes.HasPrefix(text, []byte(packMagic)) {
		return c, errors.New("it is no index of a pack, or was cut short")
	}
	text, end := text[:len(text)-sha256.Size], text[len(text)-sha256.Size:]
	if sum := sha256.Sum256(text); !bytes.Equal(sum[:], end) {
		return c, errors.New("it is damaged: its bytes have another SHA-256 than its last ones say")
	}
	c.entries = make([]packEntry, body/packEntryBytes)
	reached := int64(0)
	for i := range c.entries {
		at := text[len(packMagic)+i*packEntryBytes:]
		e := packEntry{offset: int64(binary.BigEndian.Uint64(at[sha256.Size:])), length: int64(binary.BigEndian.Uint32(at[sha256.Size+8:]))}
		copy(e.sum[:], at)
		if e.offset < reached || e.length == 0 || e.length > master.MaxChunkBytes*2 {
			return c, fmt.Errorf("entry %d is at %d, with %d bytes", i, e.offset, e.length)
		}
		reached = e.end()
		c.entries[i] = e
	}
	return c, nil
}

func readIndex(path string) (c packContent, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return c, err
	}
	if another := packMagic[:len(packMagic)-1]; len(text) >= len(packMagic) && bytes.HasPrefix(text, []byte(another)) {
		if magic := string(text[:len(packMagic)]); magic != packMagic && magic != plainMagic {
			return c, fmt.Errorf("read %s: a newer version of Ingot wrote it: that one is needed here too", path)
		}
	}
	if c, err = parseIndex(text); err != nil {
		return c, &damagedIndexError{path, err}
	}
	return c, nil
}

// damagedIndexError is an index that [Store.mendIndexes] makes anew.
type damagedIndexError struct {
	path string
	err  error
}

func (e *damagedIndexError) Error() string {
	return fmt.Sprintf("read %s: %v: \"ingot image gc\" makes it anew from its pack", e.path, e.err)
}

// replaceIndex puts another content in the place of a pack's.
func replaceIndex(path string, c packContent) error {
	if err := writeSynced(path+".new", encodeIndex(c)); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
