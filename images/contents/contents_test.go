package contents_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ingot/images/contents"
	"ingot/images/contents/contentstest"
	"ingot/inventory"
)

const status = `Package: bash
Status: install ok installed
Maintainer: Somebody <a@example.org>
Architecture: amd64
Installed-Size: 10
Version: 5.2.15-2
Description: shell
 a longer text: with a colon

Package: gone
Status: deinstall ok config-files
Version: 1

Package: libc6
Status: hold ok installed
Architecture: amd64
Source: glibc (2.36-9)
Version: 2.36-9+deb12u1
`

var tree = contentstest.Tree{
	"etc/os-release":      "-> ../usr/lib/os-release",
	"usr/lib/os-release":  "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian 12\"\n",
	"usr/bin/sh":          "#!",
	"bin":                 "-> usr/bin",
	"abs":                 "-> /usr/bin/sh",
	"loop":                "-> loop",
	"a":                   "-> b/x",
	"b":                   "-> a",
	"up":                  "-> ../../../usr/bin",
	"var/lib/dpkg/status": status,
	"dangling":            "-> nowhere",
	"empty/":              "",
}

func open(t *testing.T, root, esp contentstest.Tree) *contents.Disk {
	t.Helper()
	d, err := contents.Open(contentstest.Disk(t, root, esp), contentstest.Bytes, 512)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestRead(t *testing.T) {
	d := open(t, tree, contentstest.Tree{"EFI/BOOT/BOOTX64.EFI": "MZ"})
	if d.Root == nil || d.ESP == nil || d.RootType != "ext4" {
		t.Fatalf("%+v", d)
	}
	for name, want := range map[string]string{"usr/bin/sh": "#!", "bin/sh": "#!", "abs": "#!", "up/sh": "#!", "/usr/../bin/sh": "#!"} {
		if got, err := d.Root.ReadFile(name, 10); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"none", "usr/bin/sh/below", "dangling", "usr/none/x"} {
		if _, err := d.Root.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"loop", "a"} {
		if _, err := d.Root.Stat(name); !errors.Is(err, inventory.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := d.Root.ReadFile("usr/lib/os-release", 3); !errors.Is(err, inventory.ErrInvalid) {
		t.Errorf("a file over the limit: %v", err)
	}
	if e, err := d.Root.Lstat("loop"); err != nil || e.Target != "loop" {
		t.Errorf("%+v, %v", e, err)
	}
	if got, err := d.ESP.ReadFile("efi/boot/bootx64.efi", 10); err != nil || string(got) != "MZ" {
		t.Errorf("from FAT: %q, %v", got, err)
	}
	if id, version, name := d.OS(); id != "debian" || version != "12" || name != "Debian 12" {
		t.Errorf("OS %s %s %s", id, version, name)
	}
	packages, err := d.Packages()
	want := []contents.Package{
		{Name: "bash", Version: "5.2.15-2", Architecture: "amd64", Source: "bash", SourceVersion: "5.2.15-2", Maintainer: "Somebody <a@example.org>", InstalledBytes: 10 << 10},
		{Name: "libc6", Version: "2.36-9+deb12u1", Architecture: "amd64", Source: "glibc", SourceVersion: "2.36-9"},
	}
	if diff := cmp.Diff(want, packages); diff != "" || err != nil {
		t.Errorf("packages (-want +got): %v\n%s", err, diff)
	}
}

// TestListing: the list is what find and sha256sum see, and survives being written.
func TestListing(t *testing.T) {
	d := open(t, contentstest.Tree{"etc/a": "1", "etc/b/c": "22", "l": "-> etc/a"}, nil)
	files, err := d.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		got = append(got, f.Mode+" "+f.Path+" "+f.Target)
	}
	want := []string{"drwxr-xr-x /etc ", "-rw-r--r-- /etc/a ", "drwxr-xr-x /etc/b ", "-rw-r--r-- /etc/b/c ", "Lrwxrwxrwx /l etc/a", "drwx------ /lost+found "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if f := files[1]; f.SizeBytes != 1 || f.SHA256 != "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b" {
		t.Errorf("%+v", f)
	}
	var out bytes.Buffer
	if err := contents.WriteListing(&out, files); err != nil {
		t.Fatal(err)
	}
	again, err := contents.ReadListing(bytes.NewReader(out.Bytes()))
	if diff := cmp.Diff(files, again); diff != "" || err != nil {
		t.Errorf("read again: %v\n%s", err, diff)
	}
	if _, err := contents.ReadListing(bytes.NewReader(out.Bytes()[:out.Len()/2])); !errors.Is(err, inventory.ErrInvalid) {
		t.Errorf("cut short: %v", err)
	}
}

func TestCompare(t *testing.T) {
	p := func(name, version string) contents.Package {
		return contents.Package{Name: name, Version: version, Architecture: "amd64"}
	}
	f := func(path, sum, mode string, size int64) contents.File {
		return contents.File{Path: path, SHA256: sum, Mode: mode, SizeBytes: size}
	}
	got := contents.Compare(
		[]contents.Package{p("a", "1"), p("b", "1"), p("c", "1")}, []contents.Package{p("a", "1"), p("b", "2"), p("d", "1")},
		[]contents.File{f("/same", "x", "-", 1), f("/new mode", "x", "-", 1), f("/changed", "x", "-", 5), f("/gone", "x", "-", 7)},
		[]contents.File{f("/same", "x", "-", 1), f("/new mode", "x", "r", 1), f("/changed", "y", "-", 6), f("/came", "z", "-", 9)})
	want := contents.Diff{
		Packages: []contents.PackageChange{{"b", "1", "2"}, {"c", "1", ""}, {"d", "", "1"}},
		Files: []contents.FileChange{{"/came", "added", 0, 9}, {"/changed", "content", 5, 6}, {"/gone", "removed", 7, 0},
			{"/new mode", "mode", 1, 1}},
		AddedBytes: 15, RemovedBytes: 12,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestUnreadable: what is not read here is named.
func TestUnreadable(t *testing.T) {
	for kind, at := range map[string]int64{"XFSB": 0, "LABELONE": 512, "LUKS\xBA\xBE": 0} {
		disk := make([]byte, 1<<20)
		copy(disk[at:], kind)
		d, err := contents.Open(bytes.NewReader(disk), int64(len(disk)), 512)
		if err != nil || d.Root != nil || !strings.Contains(d.RootProblem, d.RootType) || d.RootType == "" {
			t.Errorf("%q: %+v, %v", kind, d, err)
		}
	}
	d, err := contents.Open(bytes.NewReader(make([]byte, 1<<20)), 1<<20, 512)
	if err != nil || d.Root != nil || d.RootProblem == "" {
		t.Errorf("an empty disk: %+v, %v", d, err)
	}
}

// FuzzOpen damages a disk: an error, or something else to read, and never worse.
func FuzzOpen(f *testing.F) {
	file := contentstest.Disk(f, tree, contentstest.Tree{"EFI/BOOT/BOOTX64.EFI": "MZ"})
	disk, err := os.ReadFile(file.Name())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint32(10<<20+1024), []byte{0xff, 0xff})
	f.Add(uint32(512), []byte("EFI PARX"))
	f.Add(uint32(1<<20+11), []byte{0, 0})
	f.Fuzz(func(t *testing.T, at uint32, change []byte) {
		damaged := overlay{bytes.NewReader(disk), int64(at) % int64(len(disk)), change}
		d, err := contents.Open(damaged, int64(len(disk)), 512)
		if err != nil {
			return
		}
		_, _ = d.List(t.Context()) // any error will do
		_, _ = d.Packages()
		if d.ESP != nil {
			_ = d.ESP.Walk(".", func(contents.Entry) error { return nil })
		}
	})
}

// overlay is a disk with some bytes changed.
type overlay struct {
	disk   *bytes.Reader
	at     int64
	change []byte
}

func (o overlay) ReadAt(p []byte, offset int64) (int, error) {
	n, err := o.disk.ReadAt(p, offset)
	for i := range p[:n] {
		if j := offset + int64(i) - o.at; j >= 0 && j < int64(len(o.change)) {
			p[i] = o.change[j]
		}
	}
	return n, err
}
