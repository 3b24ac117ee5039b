package images

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"regexp"
	"strings"

	"ingot/inventory"
)

// maxDescriptorBytes bounds the .ovf and .mf of an OVA.
const maxDescriptorBytes = 4 << 20

// ovfDisks is what is read of an OVF envelope (DMTF DSP0243 sections 7.1 and 9.1).
type ovfDisks struct {
	Files []struct {
		ID          string `xml:"id,attr"`
		Href        string `xml:"href,attr"`
		Compression string `xml:"compression,attr"`
		ChunkSize   string `xml:"chunkSize,attr"`
	} `xml:"References>File"`
	Disks []struct {
		FileRef string `xml:"fileRef,attr"`
	} `xml:"DiskSection>Disk"`
}

// diskFile returns the name of the one disk.
func (o ovfDisks) diskFile() (string, error) {
	if len(o.Disks) != 1 {
		return "", inventory.Invalid("the ova has %d disks, want 1", len(o.Disks))
	}
	for _, f := range o.Files {
		switch {
		case f.ID != o.Disks[0].FileRef:
			continue
		case f.Compression != "" && f.Compression != "identity", f.ChunkSize != "":
			return "", inventory.Invalid("the disk of the ova is compressed or cut into pieces: export it again without that")
		case f.Href == "" || path.Base(f.Href) != f.Href || strings.Contains(f.Href, ":"):
			return "", inventory.Invalid("the ova names %q as its disk: it must be a file inside it", f.Href)
		}
		return f.Href, nil
	}
	return "", inventory.Invalid("the ova names no file for its disk")
}

// extractOVA writes the disk of an OVA to a file: a tar whose first member is the .ovf.
// Every member that a .mf names must have the hash that it says (DSP0243 section 6.2).
// Names in the tar are compared, and never used as paths.
func extractOVA(ctx context.Context, f *os.File, to string) (*os.File, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	out, err := os.OpenFile(to, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	o := &ova{out: out, sums: map[string]map[string]string{}}
	if info, err := f.Stat(); err == nil {
		o.left = info.Size()
	}
	err = o.read(tar.NewReader(&contextReader{ctx, bufio.NewReaderSize(f, 256<<10)}))
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return out, nil
}

// ova is what was seen of an OVA so far.
type ova struct {
	out      *os.File
	left     int64                        // bytes that its members may have still
	disk     string                       // name of the disk
	found    bool                         // it was there
	manifest []byte                       // .mf
	sums     map[string]map[string]string // by member, then by algorithm
}

func (o *ova) read(r *tar.Reader) error {
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return o.damaged(err)
		}
		if h.Typeflag != tar.TypeReg {
			return inventory.Invalid("the ova has %q, which is no plain file", h.Name)
		}
		if o.left -= h.Size; h.Size < 0 || o.left < 0 { // a sparse member expands
			return inventory.Invalid("the ova is cut short: it has %q of %d bytes, more than there are", h.Name, h.Size)
		}
		if err := o.member(h.Name, h.Size, r); err != nil {
			return err
		}
	}
	if o.disk == "" || !o.found {
		return inventory.Invalid("the ova is cut short: its disk %q is missing", o.disk)
	}
	return o.checkManifest()
}

func (o *ova) damaged(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return inventory.Invalid("the ova is damaged or cut short: %v", err)
}

func (o *ova) member(name string, sizeBytes int64, r io.Reader) error {
	hashes := map[string]hash.Hash{"SHA1": sha1.New(), "SHA256": sha256.New(), "SHA512": sha512.New()}
	if sizeBytes > maxDescriptorBytes { // one is enough for a disk, and .mf files of today have it
		delete(hashes, "SHA512")
	}
	var writers []io.Writer
	for _, h := range hashes {
		writers = append(writers, h)
	}
	var text strings.Builder
	small := strings.HasSuffix(name, ".ovf") || strings.HasSuffix(name, ".mf")
	switch {
	case small && sizeBytes > maxDescriptorBytes:
		return inventory.Invalid("%s in the ova has %d bytes", name, sizeBytes)
	case small:
		writers = append(writers, &text)
	case o.disk == "":
		return inventory.Invalid("the ova does not begin with its .ovf")
	case name == o.disk && o.found:
		return inventory.Invalid("the ova has %q twice", name)
	case name == o.disk:
		o.found = true
		writers = append(writers, o.out)
	}
	if _, err := io.Copy(io.MultiWriter(writers...), r); err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			return err
		}
		return o.damaged(err)
	}
	o.sums[name] = map[string]string{}
	for kind, h := range hashes {
		o.sums[name][kind] = hex.EncodeToString(h.Sum(nil))
	}
	return o.descriptor(name, text.String())
}

func (o *ova) descriptor(name, text string) error {
	if strings.HasSuffix(name, ".mf") {
		o.manifest = []byte(text)
	}
	if !strings.HasSuffix(name, ".ovf") {
		return nil
	}
	if o.disk != "" {
		return inventory.Invalid("the ova has two .ovf files")
	}
	var disks ovfDisks
	if err := xml.Unmarshal([]byte(text), &disks); err != nil {
		return inventory.Invalid("read %s of the ova: %v", name, err)
	}
	var err error
	o.disk, err = disks.diskFile()
	return err
}

var manifestLine = regexp.MustCompile(`^(SHA1|SHA256|SHA512) ?\((.+)\) ?= ?([0-9a-fA-F]+)$`)

func (o *ova) checkManifest() error {
	for line := range strings.Lines(string(o.manifest)) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		m := manifestLine.FindStringSubmatch(line)
		if m == nil {
			return inventory.Invalid("the .mf of the ova has a line that is none: %q", line)
		}
		sums, ok := o.sums[m[2]]
		if !ok {
			return inventory.Invalid("the .mf of the ova names %q, which is missing", m[2])
		}
		got, ok := sums[m[1]]
		if !ok {
			return inventory.Invalid("the .mf of the ova has %s of %q: only SHA1 and SHA256 are checked for large files", m[1], m[2])
		}
		if !strings.EqualFold(got, m[3]) {
			return inventory.Invalid("%q in the ova has %s %s, its .mf says %s: it was changed", m[2], m[1], got, strings.ToLower(m[3]))
		}
	}
	if o.manifest != nil && !strings.Contains(string(o.manifest), "("+o.disk+")") {
		return inventory.Invalid("the .mf of the ova says nothing about its disk %q", fmt.Sprint(o.disk))
	}
	return nil
}
