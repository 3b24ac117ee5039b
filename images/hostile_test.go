package images_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"ingot/images"
	"ingot/images/master"
	"ingot/inventory"
)

// run runs a tool that tests may rely on, or skips.
func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("needs %s: %v", name, err)
	}
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
}

// made makes a file of a disk with qemu-img.
func made(t *testing.T, raw, format, options string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk."+format)
	args := []string{"convert", "-f", "raw", "-O", format}
	if options != "" {
		args = append(args, "-o", options)
	}
	run(t, "qemu-img", append(args, raw, path)...)
	return path
}

// patched is a copy of a file with some bytes changed.
func patched(t *testing.T, path string, at int, change ...byte) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copy(data[at:], change)
	to := filepath.Join(t.TempDir(), "patched")
	if err := os.WriteFile(to, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return to
}

func wantRefused(t *testing.T, path string, o images.ImportOptions, words string) {
	t.Helper()
	store, dir := newStore(t)
	_, err := store.Import(context.Background(), path, o)
	if !errors.Is(err, inventory.ErrInvalid) || !strings.Contains(err.Error(), words) {
		t.Errorf("got %v, want invalid that says %q", err, words)
	}
	wantEmpty(t, filepath.Join(dir, "tmp"))
	wantEmpty(t, filepath.Join(dir, "blobs", "sha256"))
	if u := usage(t, store); u.ChunkBytes != 0 {
		t.Errorf("%d bytes of chunks are left", u.ChunkBytes)
	}
}

func TestHostileQcow2(t *testing.T) {
	raw := rawDisk(t, 80)
	good := made(t, raw, "qcow2", "")
	snapshot := made(t, raw, "qcow2", "")
	run(t, "qemu-img", "snapshot", "-c", "before", snapshot)
	backed := filepath.Join(t.TempDir(), "backed.qcow2")
	run(t, "qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", "/etc/shadow", "-F", "raw", backed, "8M")
	huge := filepath.Join(t.TempDir(), "huge.qcow2")
	run(t, "qemu-img", "create", "-q", "-f", "qcow2", huge, "2T")
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	l1 := int(binary.BigEndian.Uint64(text[40:]))
	l2 := int(binary.BigEndian.Uint64(text[l1:]) & 0x00fffffffffffe00)
	data := l2 // the first entry that holds data
	for binary.BigEndian.Uint64(text[data:]) == 0 {
		data += 8
	}
	far := []byte{0x80, 0, 0x7f, 0, 0, 0, 0, 0}
	for _, test := range []struct{ name, path, words string }{
		{"backing file", backed, "backing file"},
		{"encrypted by LUKS", patched(t, good, 35, 2), "encrypted"},
		{"snapshots", snapshot, "1 snapshots"},
		{"too large", huge, "limit is"},
		{"corrupt bit", patched(t, good, 79, 2), "corrupt"},
		{"version", patched(t, good, 7, 9), "version 9"},
		{"clusters of 2^60", patched(t, good, 23, 60), "damaged"},
		{"first table far away", patched(t, good, 40, 0x7f), "damaged"},
		{"first table too short", patched(t, good, 36, 0, 0, 0, 0), "first table"},
		{"second table far away", patched(t, good, l1, far...), "a table"},
		{"data far away", patched(t, good, data, far...), "data"},
		{"compressed data far away", patched(t, good, data, 0x40, 0x7f), "compressed data"},
		{"compressed data that is none", patched(t, good, data, 0x40, 0, 0, 0, 0, 0, 0, 16), "does not unpack"},
		{"header cut short", patched(t, good, 0), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.name == "header cut short" {
				if err := os.Truncate(test.path, 90); err != nil {
					t.Fatal(err)
				}
				test.words = "cut short"
			}
			o := options()
			o.Format = images.FormatQcow2
			wantRefused(t, test.path, o, test.words)
		})
	}
}

func TestHostileVMDKAndVHDX(t *testing.T) {
	raw := rawDisk(t, 81)
	vhdx := made(t, raw, "vhdx", "")
	parent := func() string {
		text, err := os.ReadFile(vhdx)
		if err != nil {
			t.Fatal(err)
		}
		at := bytes.Index(text, []byte("metadata"))
		var item int // file parameters, as the metadata table says
		for entry := at + 32; ; entry += 32 {
			if bytes.Equal(text[entry:entry+4], []byte{0x37, 0x67, 0xa1, 0xca}) {
				item = at + int(binary.LittleEndian.Uint32(text[entry+16:]))
				break
			}
		}
		return patched(t, vhdx, item+4, 2)
	}
	descriptor := func(text string) string {
		path := filepath.Join(t.TempDir(), "d.vmdk")
		if err := os.WriteFile(path, []byte("# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\n"+text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	embedded := func(from, to string) string {
		path := made(t, raw, "vmdk", "")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(text, []byte(from)) {
			t.Fatalf("the descriptor lacks %s", from)
		}
		text = bytes.Replace(text, []byte(from), []byte(to), 1)
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, test := range []struct{ name, path, words string }{
		{"differencing vhdx", parent(), "differencing"},
		{"vhdx without tables", patched(t, vhdx, 192<<10, make([]byte, 128<<10)...), "no table"},
		{"extent elsewhere", descriptor("createType=\"monolithicFlat\"\nRW 16384 FLAT \"/etc/shadow\" 0\n"), "other files"},
		{"twoGbMaxExtent", made(t, raw, "vmdk", "subformat=twoGbMaxExtentSparse"), "other files"},
		{"monolithicFlat", made(t, raw, "vmdk", "subformat=monolithicFlat"), "other files"},
		{"parent named inside", embedded("parentCID=ffffffff", "parentCID=0badcafe"), "parent disk"},
		{"flat extent inside", embedded("monolithicSparse", "monolithicFlat\"\n\n"), "not supported"},
	} {
		t.Run(test.name, func(t *testing.T) { wantRefused(t, test.path, options(), test.words) })
	}
}

// TestImportCompressed reads each compression around a raw disk and around a qcow2.
func TestImportCompressed(t *testing.T) {
	raw := rawDisk(t, 82)
	want, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	qcow2 := made(t, raw, "qcow2", "")
	for _, tool := range [][]string{{"gzip", ".gz"}, {"xz", ".xz"}, {"bzip2", ".bz2"}, {"zstd", ".zst"}} {
		for name, from := range map[string]string{"raw": raw, "qcow2": qcow2} {
			t.Run(name+tool[1], func(t *testing.T) {
				if testing.Short() && name != "raw" {
					t.Skip("each compression once is enough in a hurry")
				}
				path := filepath.Join(t.TempDir(), "disk")
				if err := os.Link(from, path); err != nil {
					t.Fatal(err)
				}
				run(t, tool[0], "-k", "-f", path)
				store, dir := newStore(t)
				image, err := store.Import(t.Context(), path+tool[1], options())
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(restore(t, store, image.Digest), want) {
					t.Error("the stored disk differs")
				}
				wantEmpty(t, filepath.Join(dir, "tmp"))
				testCutShort(t, path+tool[1])
				o := options()
				o.SHA256 = master.DigestOf([]byte("other"))
				wantRefused(t, path+tool[1], o, "SHA-256")
			})
		}
	}
}

// zeros are n bytes of a repeated value.
type repeated struct {
	n     int64
	value byte
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.n == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), r.n)]
	for i := range p {
		p[i] = r.value
	}
	r.n -= int64(len(p))
	return len(p), nil
}

// TestBombs imports small files that become large. In each, the first sector looks like
// a boot sector.
func TestBombs(t *testing.T) {
	if testing.Short() {
		t.Skip("unpacks gigabytes")
	}
	boot := append(make([]byte, 510), 0x55, 0xAA)
	write := func(t *testing.T, fill func(w io.Writer) error) string {
		path := filepath.Join(t.TempDir(), "bomb")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(fill(f), f.Close()); err != nil {
			t.Fatal(err)
		}
		return path
	}
	large := func(t *testing.T, claim bool, value byte) string { // frames of 256 MiB, joined
		return write(t, func(w io.Writer) error {
			var one bytes.Buffer
			enc, err := zstd.NewWriter(&one)
			if err != nil {
				return err
			}
			if _, err = io.Copy(enc, io.MultiReader(bytes.NewReader(boot), &repeated{256<<20 - 512, value})); err == nil {
				err = enc.Close()
			}
			if claim {
				one.Reset()
				enc.ResetContentSize(&one, 2<<40)
				_, err = enc.Write(boot) // the rest never comes
				_ = enc.Flush()
				_, werr := w.Write(one.Bytes())
				return errors.Join(err, werr)
			}
			for i := 0; i < 256 && err == nil; i++ {
				_, err = w.Write(one.Bytes())
			}
			return err
		})
	}
	o := options()
	o.GrowPartition = ""
	for _, test := range []struct {
		name  string
		limit int64 // 0 is the default
		path  func(t *testing.T) string
		words string
	}{
		{"zstd that claims 2 TiB", 0, func(t *testing.T) string { return large(t, true, 0) }, "limit is"},
		{"zstd, 64 GiB of one byte", 2 << 30, func(t *testing.T) string { return large(t, false, 0xA5) }, "limit is"},
		{"zstd, 64 GiB of zeros", 0, func(t *testing.T) string { return large(t, false, 0) }, "limit is"},
		{"gzip of a qcow2 that goes on", 1 << 30, func(t *testing.T) string {
			return write(t, func(w io.Writer) error {
				z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
				if err != nil {
					return err
				}
				_, err = io.Copy(z, io.MultiReader(strings.NewReader("QFI\xfb\x00\x00\x00\x03"), &repeated{2 << 30, 0}))
				return errors.Join(err, z.Close())
			})
		}, "limit is"},
		{"xz with an index of 4 TiB", 0, func(t *testing.T) string {
			return write(t, func(w io.Writer) error {
				var b bytes.Buffer
				z, err := xz.NewWriter(&b)
				if err != nil {
					return err
				}
				if _, err := z.Write(boot); err != nil {
					return err
				}
				if err := z.Close(); err != nil {
					return err
				}
				index := []byte{0, 1, 50, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1, 0, 0}
				footer := []byte{0, 0, 0, 0, 2, 0, 0, 0, 0, 4, 'Y', 'Z'}
				_, err = w.Write(append(append(b.Bytes(), index...), footer...))
				return err
			})
		}, "limit is"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := test.path(t)
			begun := time.Now()
			o := o
			o.MaxBytes = test.limit
			wantRefused(t, path, o, test.words)
			t.Logf("a file of %s was refused in %.1f s", inventory.FormatBytes(fileSize(t, path)), time.Since(begun).Seconds())
			if took := time.Since(begun); took > 60*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
	t.Run("qcow2 of 1 TiB of nothing", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "sparse.qcow2")
		run(t, "qemu-img", "create", "-q", "-f", "qcow2", path, "1T")
		store, _ := newStore(t)
		begun := time.Now()
		image, err := store.Import(t.Context(), path, o)
		if err != nil || image.SizeBytes != 1<<40 {
			t.Errorf("%+v, %v", image, err)
		}
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("it took %s", took)
		}
	})
	t.Run("quota", func(t *testing.T) {
		store, dir := newStore(t)
		store.SetQuota(20 << 20)
		begun := time.Now()
		_, err := store.Import(t.Context(), randomGzip(t, 200<<20), o)
		if !errors.Is(err, inventory.ErrConflict) {
			t.Errorf("%v, want conflict", err)
		}
		if took := time.Since(begun); took > 20*time.Second {
			t.Errorf("it took %s", took)
		}
		wantEmpty(t, filepath.Join(dir, "tmp"))
		if u := usage(t, store); u.ChunkBytes > 0 {
			t.Errorf("%d bytes of chunks are left", u.ChunkBytes)
		}
	})
}

// randomGzip is a stored (not compressed) gzip of a disk of noise.
func randomGzip(t *testing.T, n int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "noise.gz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewWriterLevel(f, gzip.NoCompression)
	if err != nil {
		t.Fatal(err)
	}
	boot := append(make([]byte, 510), 0x55, 0xAA)
	_, err = io.Copy(z, io.MultiReader(bytes.NewReader(boot), io.LimitReader(noise(1), n-512)))
	if err := errors.Join(err, z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}
