package main

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"

	"ingot/images"
	"ingot/inventory"
	"ingot/pxe/httpboot"
)

// folder serves a folder's files.
type folder string

// Open implements httpboot.Files.
func (f folder) Open(_ context.Context, r httpboot.Request) (httpboot.File, error) {
	file, err := os.Open(filepath.Join(string(f), filepath.Base(r.Name)))
	if err != nil {
		return httpboot.File{}, inventory.NotFound("file", r.Name)
	}
	return httpboot.File{Content: file}, nil
}

// serve ADDRESS FOLDER: the machine listener, as ingot serve has it.
func serve(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: benchpart serve ADDRESS FOLDER")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	l, err := net.Listen("tcp4", args[0])
	if err != nil {
		return err
	}
	h := httpboot.New(httpboot.Config{})
	h.Handle("/", http.StripPrefix("/", httpboot.FileHandler(folder(args[1]), nil, nil)))
	if err := serveStore(h, filepath.Join(args[1], storeFolder)); err != nil {
		return err
	}
	return h.Run(ctx, l)
}

// storeFolder is the image store in a folder that is served.
const storeFolder = "store"

// serveStore serves the image store, as ingot serve does, when there is one.
func serveStore(h *httpboot.Server, dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	store, err := images.NewStore(dir)
	if err != nil {
		return err
	}
	h.Handle("/images/", store.Handler())
	return nil
}
