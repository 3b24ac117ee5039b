package pxe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strings"

	"ingot/inventory"
	"ingot/pxe/httpboot"
	"ingot/pxe/netboot"
	"ingot/pxe/tftp"
)

// BootSet are the closed sets of boot files; an unknown set or name is fs.ErrNotExist.
type BootSet interface {
	// Open opens a file of a set; the set "" is the one that boots begin with now.
	Open(set, name string) (*os.File, fs.FileInfo, error)
}

// files serves the boot set and the rendered scripts by TFTP and HTTP alike.
type files struct {
	set      BootSet
	table    *netboot.Table
	recorder *netboot.Recorder
	// local finds our address on the way to a client, for scripts sent by TFTP.
	local func(client netip.Addr) netip.Addr
}

// Names under which GRUB asks for its configuration. The first is what Debian's signed
// network GRUB has built in; it sends GRUB on to the one of its MAC.
const (
	grubAny     = "grub/grub.cfg"
	grubMachine = "grub/machine/"
)

// tftpFiles implements tftp.Files.
type tftpFiles struct {
	files
	shared *tftp.Shared
}

// Open implements tftp.Files.
func (f tftpFiles) Open(_ context.Context, r tftp.Request) (tftp.File, error) {
	if text, ok, err := f.grub(r.Name, r.Client); ok || err != nil {
		return memoryFile{bytes.NewReader(text)}, err
	}
	file, _, err := f.open(r.Name)
	if err != nil {
		return nil, err
	}
	return f.shared.File(file)
}

// grub renders a GRUB configuration, if name is one's.
func (f files) grub(name string, client netip.Addr) (text []byte, ok bool, err error) {
	var mac inventory.MAC
	if name != grubAny {
		rest, found := strings.CutPrefix(name, grubMachine)
		rest, cfg := strings.CutSuffix(rest, "/grub.cfg")
		if !found || !cfg {
			return nil, false, nil
		}
		if mac, err = inventory.ParseMAC(rest); err != nil {
			return nil, true, err
		}
	}
	s, err := f.table.GRUB(mac, f.local(client))
	if err == nil && mac != "" {
		f.recorder.SawScript(mac, "grub", s)
	}
	return s.Text, true, err
}

func (f files) open(name string) (*os.File, fs.FileInfo, error) {
	file, info, err := f.set.Open(inventory.CutSet(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, inventory.NotFound("boot file", name)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open boot file: %w", err)
	}
	return file, info, nil
}

type memoryFile struct{ *bytes.Reader }

func (m memoryFile) Close() error     { return nil }
func (m memoryFile) SizeBytes() int64 { return m.Size() }

// httpFiles implements httpboot.Files.
type httpFiles struct{ files }

// Open implements httpboot.Files.
func (f httpFiles) Open(_ context.Context, r httpboot.Request) (httpboot.File, error) {
	file, info, err := f.open(r.Name)
	if err != nil {
		return httpboot.File{}, err
	}
	return httpboot.File{Content: file, Modified: info.ModTime()}, nil
}

var _ io.ReadSeekCloser = (*os.File)(nil)

// Transferred implements tftp.Observer.
func (f tftpFiles) Transferred(t tftp.Transfer) {
	f.saw(t.MAC, t.Client, t.Name, inventory.BootFile{Protocol: "tftp", Outcome: t.Outcome, Bytes: t.Bytes, TotalBytes: t.TotalBytes, Block: t.Block, Error: errorText(t.Err)})
}

// Transferred implements httpboot.Observer. A range that is not the first is part of a
// file that is going on.
func (f httpFiles) Transferred(t httpboot.Transfer) {
	if t.Range != "" && !strings.HasPrefix(t.Range, "bytes=0-") {
		return
	}
	f.saw(t.MAC, t.Client, t.Name, inventory.BootFile{Protocol: "http", Part: t.Range != "", Outcome: t.Outcome, Bytes: t.Bytes, TotalBytes: t.TotalBytes, Error: errorText(t.Err)})
}

// saw tells of a transfer, by the file's name without its set, unless the set may be what
// is not there.
func (f files) saw(mac inventory.MAC, client netip.Addr, name string, b inventory.BootFile) {
	b.File = name
	if b.Outcome != inventory.FileNotFound {
		b.Set, b.File = inventory.CutSet(name)
	}
	f.recorder.SawFile(netboot.FileSeen{MAC: mac, Client: client, BootFile: b})
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
