package images_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/ovf"
	"github.com/vmware/govmomi/ovf/importer"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"golang.org/x/sys/unix"

	"ingot/images"
	"ingot/inventory"
)

func exported(t *testing.T, store *images.Store, digest string, format images.Format) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk."+string(format))
	var last [2]int64
	o := images.ExportOptions{Progress: func(done, total int64) { last = [2]int64{done, total} }}
	if err := store.Export(t.Context(), digest, format, path, o); err != nil {
		t.Fatal(err)
	}
	if last[0] == 0 || last[0] != last[1] {
		t.Errorf("%s: progress ended at %d of %d", format, last[0], last[1])
	}
	return path
}

func TestExport(t *testing.T) {
	store, dir := newStore(t)
	raw := rawDisk(t, 90)
	want, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	image, err := store.Import(t.Context(), raw, options())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("qemu-img"); err == nil {
		if all, err := store.DeriveAll(t.Context(), image.Digest, images.FormatVHDX, images.FormatQcow2, images.FormatVHDX); err != nil || all[0] != all[2] || all[1].Format != images.FormatQcow2 {
			t.Errorf("derive all: %+v, %v", all, err)
		}
	}
	for _, format := range []images.Format{images.FormatRaw, images.FormatZstd, images.FormatQcow2, images.FormatVMDK, images.FormatVHDX, images.FormatOVA} {
		t.Run(string(format), func(t *testing.T) {
			if _, err := exec.LookPath("qemu-img"); err != nil && format != images.FormatRaw && format != images.FormatZstd {
				t.Skipf("needs qemu-img: %v", err)
			}
			path := exported(t, store, image.Digest, format)
			err := store.Export(t.Context(), image.Digest, format, path, images.ExportOptions{})
			if !errors.Is(err, inventory.ErrConflict) {
				t.Errorf("over a file that is there: %v, want conflict", err)
			}
			if err := store.Export(t.Context(), image.Digest, format, path, images.ExportOptions{Overwrite: true}); err != nil {
				t.Errorf("overwrite: %v", err)
			}
			second, _ := newStore(t)
			again, err := second.Import(t.Context(), path, options())
			if err != nil {
				t.Fatal(err)
			}
			if again.ContentDigest != image.ContentDigest || !bytes.Equal(restore(t, second, again.Digest), want) {
				t.Error("what was exported imports as another disk")
			}
			wantSparse(t, path, format)
			if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
				t.Errorf("left beside it: %v, %v", left, err)
			}
		})
	}
	wantEmpty(t, filepath.Join(dir, "tmp"))
}

// wantSparse checks that raw is, and that vhdx is not: Hyper-V refuses it then.
func wantSparse(t *testing.T, path string, format images.Format) {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	if format == images.FormatRaw && st.Blocks*512 > st.Size/2 {
		t.Errorf("raw takes %d of %d bytes", st.Blocks*512, st.Size)
	}
	if format == images.FormatVHDX && st.Blocks*512 < st.Size {
		t.Errorf("vhdx takes %d of %d bytes: it is sparse", st.Blocks*512, st.Size)
	}
}

func TestExportRefuses(t *testing.T) {
	store, _ := newStore(t)
	image, err := store.Import(t.Context(), rawDisk(t, 91), options())
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	for _, test := range []struct {
		name, path string
		ctx        context.Context
		format     images.Format
		class      error
	}{
		{"standard output", "-", t.Context(), images.FormatRaw, inventory.ErrInvalid},
		{"format", filepath.Join(dir, "a"), t.Context(), "iso", inventory.ErrInvalid},
		{"cancelled", filepath.Join(dir, "a"), ended, images.FormatZstd, context.Canceled},
		{"no folder", filepath.Join(dir, "none", "a"), t.Context(), images.FormatRaw, os.ErrNotExist},
	} {
		if err := store.Export(test.ctx, image.Digest, test.format, test.path, images.ExportOptions{}); !errors.Is(err, test.class) {
			t.Errorf("%s: %v, want %v", test.name, err, test.class)
		}
	}
	if err := store.Export(t.Context(), "sha256:"+strings.Repeat("0", 64), images.FormatRaw, filepath.Join(dir, "a"), images.ExportOptions{}); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("no image: %v", err)
	}
	wantEmpty(t, dir)
}

// members reads a tar.
func members(t *testing.T, path string) (names []string, content map[string][]byte) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	content = map[string][]byte{}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err == io.EOF {
			return names, content
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		if content[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

func ovaOf(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("qemu-img"); err != nil {
		t.Skipf("needs qemu-img: %v", err)
	}
	store, _ := newStore(t)
	image, err := store.Import(t.Context(), rawDisk(t, 92), options())
	if err != nil {
		t.Fatal(err)
	}
	return exported(t, store, image.Digest, images.FormatOVA)
}

// TestOVA reads an OVA as govc does, and imports it into vcsim.
func TestOVA(t *testing.T) {
	path := ovaOf(t)
	names, content := members(t, path)
	if got := strings.Join(names, " "); got != "web-1.ovf web-1.mf web-1-disk1.vmdk" {
		t.Errorf("members: %s", got)
	}
	envelope, err := ovf.Unmarshal(bytes.NewReader(content["web-1.ovf"]))
	if err != nil {
		t.Fatal(err)
	}
	disk := envelope.Disk.Disks[0]
	if disk.Capacity != "8388608" || *disk.CapacityAllocationUnits != "byte" || envelope.References[0].Size != uint(len(content["web-1-disk1.vmdk"])) {
		t.Errorf("disk: %+v of %+v", disk, envelope.References)
	}
	hardware := envelope.VirtualSystem.VirtualHardware[0]
	if got := *hardware.System.VirtualSystemType; got != "vmx-13" {
		t.Errorf("hardware %s", got)
	}
	if !strings.Contains(string(content["web-1.ovf"]), `vmw:key="firmware" vmw:value="efi"`) {
		t.Error("an image that boots by UEFI has no efi firmware")
	}
	vmdk := filepath.Join(t.TempDir(), "disk.vmdk")
	if err := os.WriteFile(vmdk, content["web-1-disk1.vmdk"], 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, "qemu-img", "check", "-q", "-f", "vmdk", vmdk)
	run(t, "qemu-img", "compare", "-f", "raw", "-F", "vmdk", rawDisk(t, 92), vmdk)
	simulator.Test(func(ctx context.Context, c *vim25.Client) {
		finder := find.NewFinder(c)
		dc, err := finder.DefaultDatacenter(ctx)
		if err != nil {
			t.Fatal(err)
		}
		finder.SetDatacenter(dc)
		pool, err := finder.ResourcePool(ctx, "DC0_C0/Resources")
		if err != nil {
			t.Fatal(err)
		}
		store, err := finder.DefaultDatastore(ctx)
		if err != nil {
			t.Fatal(err)
		}
		folders, err := dc.Folders(ctx)
		if err != nil {
			t.Fatal(err)
		}
		archive := &importer.TapeArchive{Path: path, Opener: importer.Opener{Client: c}}
		im := importer.Importer{Client: c, Finder: finder, Datacenter: dc, Datastore: store, ResourcePool: pool, Folder: folders.VmFolder, Name: "imported", Archive: archive,
			// vcsim tells no sum of what was uploaded, so VerifyManifest can't be on.
			Log: func(string) (int, error) { return 0, nil }}
		opts := importer.Options{NetworkMapping: []importer.Network{{Name: "VM Network", Network: "VM Network"}}}
		if _, err := im.Import(ctx, "*.ovf", opts); err != nil {
			t.Errorf("vcsim: %v", err)
		}
	})
}

func TestHostileOVA(t *testing.T) {
	path := ovaOf(t)
	names, content := members(t, path)
	build := func(names []string, change map[string][]byte) string {
		to := filepath.Join(t.TempDir(), "x.ova")
		f, err := os.Create(to)
		if err != nil {
			t.Fatal(err)
		}
		w := tar.NewWriter(f)
		for _, name := range names {
			data, ok := change[name]
			if !ok {
				data = content[name]
			}
			if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(data)), Mode: 0o644, Format: tar.FormatUSTAR}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(data); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(w.Close(), f.Close()); err != nil {
			t.Fatal(err)
		}
		return to
	}
	envelope := content["web-1.ovf"]
	edit := func(from, to string) map[string][]byte {
		return map[string][]byte{"web-1.ovf": []byte(regexp.MustCompile(from).ReplaceAllString(string(envelope), to)), "web-1.mf": nil}
	}
	noManifest := []string{names[0], names[2]}
	flipped := bytes.Clone(content[names[2]])
	flipped[len(flipped)/2] ^= 1
	cut := build(names, nil)
	if err := os.Truncate(cut, 70<<10); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, path, words string }{
		{"disk changed", build(names, map[string][]byte{names[2]: flipped}), "was changed"},
		{"cut short", cut, "cut short"},
		{"disk missing", build(names[:2], nil), "missing"},
		{"disk first", build([]string{names[2], names[0], names[1]}, nil), "begin with its .ovf"},
		{"disk elsewhere", build(noManifest, edit(`ovf:href="[^"]*"`, `ovf:href="../../etc/shadow"`)), "inside it"},
		{"disk at a URL", build(noManifest, edit(`ovf:href="[^"]*"`, `ovf:href="http:x"`)), "inside it"},
		{"two disks", build(noManifest, edit(`(<Disk [^>]*/>)`, `$1$1`)), "2 disks"},
		{"no disk", build(noManifest, edit(`<Disk [^>]*/>`, ``)), "0 disks"},
		{"no XML", build(noManifest, map[string][]byte{names[0]: []byte("<Envelope>")}), "read web-1.ovf"},
		{"disk that is a descriptor", build(noManifest, map[string][]byte{names[2]: []byte("# Disk DescriptorFile\nRW 1 FLAT \"/etc/shadow\" 0\n")}), "other files"},
		{"manifest of something else", build(names, map[string][]byte{names[1]: []byte("SHA256(other)= 00\n")}), "names \"other\""},
	} {
		t.Run(test.name, func(t *testing.T) { wantRefused(t, test.path, options(), test.words) })
	}
	t.Run("over HTTP", func(t *testing.T) {
		server := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(path))))
		defer server.Close()
		store, dir := newStore(t)
		if _, err := store.Import(t.Context(), server.URL+"/"+filepath.Base(path), options()); err != nil {
			t.Error(err)
		}
		wantEmpty(t, filepath.Join(dir, "tmp"))
	})
}
