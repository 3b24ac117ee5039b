package vsphere_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"ingot/hypervisor"
	"ingot/hypervisor/drivertest"
	"ingot/hypervisor/vsphere"
	"ingot/hypervisor/vsphere/sim"
)

const (
	imageBytes = 4 << 20
	password   = "correct horse: battery"
)

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // vcsim logs what it refuses
	os.Exit(m.Run())
}

// start runs a simulated server for a test.
func start(t *testing.T, o sim.Options) *sim.Server {
	t.Helper()
	o.User, o.Password = "ingot@vsphere.local", password
	s, err := sim.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// config is one for the server's cluster, or for the server itself when that is a host.
func config(s *sim.Server, owner string) vsphere.Config {
	path := "/DC0/DC0_C0"
	if s.ESX() {
		path = ""
	}
	return vsphere.Config{URL: "vsphere://ingot%40vsphere.local@" + s.Host() + path, Thumbprint: s.Thumbprint(), Owner: owner,
		Password: func() ([]byte, error) { return []byte(password), nil }}
}

// open makes a driver that is closed at the end.
func open(t *testing.T, s *sim.Server, owner string) *vsphere.Driver {
	t.Helper()
	d, err := vsphere.Open(t.Context(), config(s, owner))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d
}

// theImage is a small streamOptimized image, made by qemu-img once.
var theImage = sync.OnceValues(func() ([]byte, error) { return drivertest.Convert(content(), "vmdk", "subformat=streamOptimized") })

// content is the image's raw disk.
func content() []byte { return drivertest.RawDisk(imageBytes, imageBytes/2) }

// theDigest is the image's.
func theDigest() (string, [32]byte) {
	sum := sha256.Sum256(content())
	return "sha256:" + hex.EncodeToString(sum[:]), sum
}

func image(t *testing.T) hypervisor.Image {
	t.Helper()
	drivertest.NeedQemuImg(t)
	data, err := theImage()
	if err != nil {
		t.Fatal(err)
	}
	digest, _ := theDigest()
	return hypervisor.Image{Digest: digest, Name: "test:stable", SizeBytes: imageBytes, BootModes: []string{"bios", "uefi", "secureboot"},
		Open: func(_ context.Context, f hypervisor.Format) (hypervisor.Artefact, error) {
			if f != hypervisor.VMDK {
				t.Errorf("asked for %s", f)
			}
			return drivertest.Artefact(data), nil
		}}
}

// left names what is at the server: machines that are somebody's, and all files on the
// datastore but those of the machines that were there before.
func left(t *testing.T, s *sim.Server) []string {
	t.Helper()
	var names []string
	for name := range s.VMs() {
		names = append(names, "machine "+name)
	}
	root := s.Dir("")
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err == nil && path != root {
			names = append(names, "file "+strings.TrimPrefix(path, root))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return strings.Contains(n, "_VM") })
	slices.Sort(names)
	return names
}

// harness is the suite's view of a server.
func harness(t *testing.T, s *sim.Server) drivertest.Harness {
	return drivertest.Harness{
		New:     func(t *testing.T, owner string) hypervisor.Driver { return opened(t, s, owner) },
		Image:   image(t),
		Network: "VM Network",
		Left:    func(t *testing.T) []string { return left(t, s) },
		Vanish: func(t *testing.T, vm hypervisor.VM) {
			if err := s.Unregister(vm.UUID); err != nil {
				t.Fatal(err)
			}
		},
		// Each call fails twice: before it is carried out, and with its answer lost.
		Fail: func(_ *testing.T, n int) func() bool { return s.Fail((n+1)/2, n%2 == 0) },
	}
}

func opened(t *testing.T, s *sim.Server, owner string) *vsphere.Driver {
	t.Helper()
	c := config(s, owner)
	c.Log = slog.New(slog.NewTextHandler(testWriter{t}, nil))
	d, err := vsphere.Open(t.Context(), c)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return d
}

// testWriter logs to a test.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(string(bytes.TrimSpace(p)))
	return len(p), nil
}

func TestSuiteVCenter(t *testing.T) {
	drivertest.Run(t, harness(t, start(t, sim.Options{Machines: 1})))
}

func TestSuiteESXi(t *testing.T) {
	drivertest.Run(t, harness(t, start(t, sim.Options{ESX: true, Machines: 1})))
}
