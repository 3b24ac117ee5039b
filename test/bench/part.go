package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"

	"golang.org/x/sys/unix"

	"ingot/images"
	"ingot/images/master"
	"ingot/inventory"
	"ingot/pxe/httpboot"
)

// parts are what this program does in processes of its own, so that their CPU and memory
// can be told apart.
var parts = map[string]func(args []string) error{"serve": serve, "write": write, "copy": copyData, "import": importFile, "build": buildImage}

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
		return errors.New("usage: bench serve ADDRESS FOLDER")
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

// write BASE DEVICE: what the agent does with a deploy: the manifest and the data of an
// image onto a disk. It prints how many bytes crossed the wire.
func write(args []string) (err error) {
	if len(args) != 2 {
		return errors.New("usage: bench write BASE DEVICE")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	resp, err := http.Get(args[0] + "/manifest.json")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	m, err := master.ParseManifest(text)
	if err != nil {
		return err
	}
	disk, err := master.OpenDevice(args[1])
	if err != nil {
		return err
	}
	p, err := master.Apply(ctx, m, master.HTTPSource{URL: args[0] + "/data"}, disk, master.ApplyOptions{})
	if err = errors.Join(err, disk.Close()); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]int64{"wire": p.WireBytes + int64(len(text))})
}

// copyData FILE DEVICE: what no imaging can be faster than, the data of a sparse file from
// the page cache onto a disk.
func copyData(args []string) (err error) {
	if len(args) != 2 {
		return errors.New("usage: bench copy FILE DEVICE")
	}
	from, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(args[1], os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	for at := int64(0); ; {
		start, err := from.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return to.Sync()
		}
		if err != nil {
			return err
		}
		if at, err = from.Seek(start, unix.SEEK_HOLE); err != nil {
			return err
		}
		if _, err := io.Copy(io.NewOffsetWriter(to, start), io.NewSectionReader(from, start, at-start)); err != nil {
			return err
		}
	}
}

// lineOf decodes the first JSON object that a part printed.
func lineOf(text string) (map[string]int64, error) {
	out := map[string]int64{}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return nil, fmt.Errorf("read result %q: %w", lastLines(text), err)
	}
	return out, nil
}
