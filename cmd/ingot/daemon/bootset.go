package daemon

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"

	"ingot/pxe"
)

type dirSet string

func (d dirSet) Open(name string) (*os.File, fs.FileInfo, error) {
	f, err := os.Open(filepath.Join(string(d), filepath.Base(name)))
	if err != nil {
		return nil, nil, err
	}
	i, err := f.Stat()
	return f, i, err
}

func (d *Daemon) bootSet(context.Context) (pxe.BootSet, error) { return dirSet(d.path("boot")), nil }
