package main

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"
)

// phoneHome is cloud-init in the guest, which does not run: it reads the seed that was
// written last for the machine, and posts what cloud-init posts.
func (w *winhost) phoneHome(ts *testscript.TestScript, name string) {
	w.machine(ts, name) // it is there
	var packed string
	for _, request := range w.calls("create") {
		var q struct {
			VisibleName string
			Seed        struct{ Gzip string }
		}
		ts.Check(json.Unmarshal([]byte(request), &q))
		if q.VisibleName == name {
			packed = q.Seed.Gzip
		}
	}
	raw := unpackSeed(ts, packed)
	postHome(ts, raw, name, readSeed(ts, raw, "/meta-data"), readSeed(ts, raw, "/vendor-data"))
}

// unpackSeed makes a raw disk of a seed as it is in a request: a VHDX, packed.
func unpackSeed(ts *testscript.TestScript, packed string) (raw string) {
	data, err := base64.StdEncoding.DecodeString(packed)
	ts.Check(err)
	z, err := gzip.NewReader(bytes.NewReader(data))
	ts.Check(err)
	disk, err := io.ReadAll(z)
	ts.Check(err)
	dir, err := os.MkdirTemp(ts.Getenv("WORK"), "seed")
	ts.Check(err)
	vhdx, raw := filepath.Join(dir, "seed.vhdx"), filepath.Join(dir, "seed.raw")
	ts.Check(os.WriteFile(vhdx, disk, 0o600))
	out, err := exec.Command("qemu-img", "convert", "-f", "vhdx", "-O", "raw", vhdx, raw).CombinedOutput()
	if err != nil {
		ts.Fatalf("qemu-img: %v: %s", err, out)
	}
	return raw
}
