package agent

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// The fixed parts of a cpio archive in the "newc" format (Linux, Documentation/
// driver-api/early-userspace/buffer-format.rst).
const (
	newcMagic       = "070701"
	newcHeaderBytes = 110
	newcTrailer     = "TRAILER!!!"
	newcMaxName     = 4096
)

// newcFile is one entry of an archive. Data is a part of the archive's memory; of a link
// it is the target.
type newcFile struct {
	Name string
	Mode fs.FileMode
	Data []byte
}

// newcReader reads an archive in memory from start to end.
type newcReader struct{ rest []byte }

// Next returns the next entry, io.EOF after the last.
func (n *newcReader) Next() (newcFile, error) {
	header, err := n.take(newcHeaderBytes)
	if err != nil {
		return newcFile{}, err
	}
	mode, sizeBytes, nameBytes, err := parseNewcHeader(header)
	if err != nil {
		return newcFile{}, fmt.Errorf("read archive: %w", err)
	}
	name, err := n.take(nameBytes + pad4(newcHeaderBytes+nameBytes))
	if err != nil {
		return newcFile{}, err
	}
	f := newcFile{Name: strings.TrimRight(string(name[:nameBytes]), "\x00"), Mode: fileMode(mode)}
	if f.Name == newcTrailer {
		return newcFile{}, io.EOF
	}
	if !fs.ValidPath(f.Name) {
		return newcFile{}, fmt.Errorf("read archive: name %q (want one below the root)", f.Name)
	}
	data, err := n.take(sizeBytes + pad4(sizeBytes))
	if err != nil {
		return newcFile{}, err
	}
	f.Data = data[:sizeBytes:sizeBytes]
	return f, nil
}

func (n *newcReader) take(count int64) ([]byte, error) {
	if count > int64(len(n.rest)) {
		return nil, fmt.Errorf("read archive: %w", io.ErrUnexpectedEOF)
	}
	var part []byte
	part, n.rest = n.rest[:count], n.rest[count:]
	return part, nil
}

func parseNewcHeader(h []byte) (mode uint32, sizeBytes, nameBytes int64, err error) {
	if string(h[:len(newcMagic)]) != newcMagic {
		return 0, 0, 0, errors.New("it is no newc archive")
	}
	field := func(i int) uint64 {
		v, ferr := strconv.ParseUint(string(h[6+8*i:14+8*i]), 16, 32)
		err = errors.Join(err, ferr)
		return v
	}
	mode, sizeBytes, nameBytes = uint32(field(1)), int64(field(6)), int64(field(11))
	if err == nil && (nameBytes < 2 || nameBytes > newcMaxName) {
		err = fmt.Errorf("entry with a name of %d bytes", nameBytes)
	}
	return mode, sizeBytes, nameBytes, err
}

func pad4(n int64) int64 { return -n & 3 }

// fileMode knows folders, files and links; all else is nothing that gets written.
func fileMode(mode uint32) fs.FileMode {
	m := fs.FileMode(mode & 0o777)
	switch mode & 0o170000 {
	case 0o040000:
		return m | fs.ModeDir
	case 0o100000:
		return m
	case 0o120000:
		return m | fs.ModeSymlink
	}
	return m | fs.ModeIrregular
}

// below joins an archive's name to a root.
func below(root, name string) string { return path.Join(root, name) }
