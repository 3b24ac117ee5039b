package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

func TestFnmatch(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"pci:v00008086d00001533sv*sd*bc*sc*i*", "pci:v00008086d00001533sv00001028sd00000001bc02sc00i00", true},
		{"pci:v00008086d00001533sv*sd*bc*sc*i*", "pci:v00008086d00001534sv00001028sd00000001bc02sc00i00", false},
		{"pci:v*d*sv*sd*bc01sc06i01*", "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01", true},
		{"usb:v0B95p1790d*dc*dsc*dp*icFFiscFFip00in*", "usb:v0B95p1790d0100dc00dsc00dp00icFFiscFFip00in00", true},
		{"input:b*v*p*e*-e*1,*2,*k*110,*r*0,*1,*a*m*l*s*f*w*", "input:b0011v0002p0005e0000-e0,1,2,k110,111,112,r0,1,am4,lsfw", true},
		{"acpi*:IPI0001:*", "acpi:IPI0001:", true},
		{"cpu:type:x86,ven*fam*mod*:feature:*00[0-9A-F]9*", "cpu:type:x86,ven0002fam000Fmod006B:feature:,0000,00A9,", true},
		{"cpu:type:x86,ven*fam*mod*:feature:*00[!0-9]9*", "cpu:type:x86,ven0002fam000Fmod006B:feature:,0049,", false},
		{"dmi*:bd*:svnACME*:", "dmi:bd04/01/2014:svnACMEInc./Corp:", true},
		{"a?c", "a/c", true},
		{"a?c", "ac", false},
		{"[ab]c", "bc", true},
		{"[ab", "a", false},
		{"[]", "]", false},
		{"*", "", true},
		{"", "", true},
		{"", "a", false},
	} {
		if got := fnmatch(c.pattern, c.name); got != c.want {
			t.Errorf("fnmatch(%q, %q) = %v", c.pattern, c.name, got)
		}
	}
}

func FuzzFnmatch(f *testing.F) {
	f.Add("pci:v*d[0-9A-F]*", "pci:v00008086d0000")
	f.Add("[!a-c]?*", "zz")
	f.Add("[", "[")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 64 || len(name) > 256 || strings.Count(pattern, "*") > 4 {
			return
		}
		if fnmatch(pattern, name) && !fnmatch("*"+pattern+"*", name) {
			t.Errorf("%q matches %q, with stars around it does not", pattern, name)
		}
	})
}

// kernelTree is a root with the running kernel's module folder and devices.
func kernelTree(t *testing.T, files map[string]string) string {
	t.Helper()
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	dir := filepath.Join(root, "lib/modules", unix.ByteSliceToString(u.Release[:]))
	for _, table := range []string{"modules.dep", "modules.alias", "modules.softdep"} {
		if _, ok := files[table]; !ok {
			files[table] = ""
		}
	}
	for name, text := range files {
		file := filepath.Join(dir, name)
		if strings.HasPrefix(name, "sys/") {
			file = filepath.Join(root, name)
		}
		if err := os.MkdirAll(path.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// inserted makes a loader write down what it gives to the kernel; fail names what the
// kernel refuses.
func inserted(t *testing.T, root string, s *stage, fail map[string]error) (*loader, *[]string) {
	t.Helper()
	l, err := newLoader(root, s)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	l.insert = func(image []byte) error {
		name := strings.TrimPrefix(string(image), "module ")
		got = append(got, name)
		return fail[name]
	}
	return l, &got
}

func TestColdplug(t *testing.T) {
	root := kernelTree(t, map[string]string{
		"modules.dep":              "kernel/net/virtio-net.ko: kernel/virtio_ring.ko kernel/virtio.ko\nkernel/virtio.ko:\nkernel/virtio_ring.ko: kernel/virtio.ko\nkernel/other.ko:\nkernel/crc.ko:\nkernel/fs.ko:\nkernel/in-stage-2.ko:\n",
		"modules.alias":            "# comment\nalias virtio:d00000001v* virtio_net\nalias pci:v00001AF4d00001000sv*sd*bc*sc*i* other\nalias pci:v*d*sv*sd*bc01* in-stage-2\nalias broken\n",
		"modules.softdep":          "softdep virtio_net pre: crc post: fs\n",
		"kernel/net/virtio-net.ko": "module virtio_net", "kernel/virtio.ko": "module virtio", "kernel/virtio_ring.ko": "module virtio_ring",
		"kernel/other.ko": "module other", "kernel/crc.ko": "module crc", "kernel/fs.ko": "module fs",
		"sys/bus/virtio/devices/virtio0/modalias": "virtio:d00000001v00001AF4\n",
		"sys/bus/pci/devices/0/modalias":          "pci:v00001AF4d00001000sv1sd1bc01sc00i00\n",
		"sys/bus/pci/devices/1/modalias":          "pci:v00008086d00001237sv1sd1bc06sc00i00\n",
	})
	l, got := inserted(t, root, nil, nil)
	if err := l.coldplug(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"other", "crc", "virtio", "virtio_ring", "virtio_net"}, *got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if err := errors.Join(l.coldplug(), l.load("virtio_net", "virtio-ring", "built_in")); err != nil || len(*got) != 5 {
		t.Errorf("again: %v, %v", err, *got)
	}
}

func TestLoadErrors(t *testing.T) {
	root := kernelTree(t, map[string]string{
		"modules.dep":     "a.ko: b.ko\nb.ko:\nc.ko:\nd.ko:\ne.ko:\n",
		"modules.softdep": "softdep e pre: b\n",
		"a.ko":            "module a", "b.ko": "module b", "c.ko": "module c", "d.ko": "module d", "e.ko": "module e",
	})
	l, got := inserted(t, root, nil, map[string]error{"b": unix.EKEYREJECTED, "c": unix.EEXIST, "d": unix.ENODEV})
	err := l.load("a", "c", "d", "e")
	if text := contains(err, "load module b: key was rejected"); text != "" {
		t.Error(text)
	}
	if diff := cmp.Diff([]string{"b", "c", "d", "e"}, *got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestSoftdepCircle: b needs a, and a would like b before it.
func TestSoftdepCircle(t *testing.T) {
	files := map[string]string{"modules.dep": "a.ko:\nb.ko: a.ko\n", "modules.softdep": "softdep a pre: b\n", "a.ko": "module a", "b.ko": "module b"}
	for _, first := range []string{"a", "b"} {
		l, got := inserted(t, kernelTree(t, files), nil, nil)
		if err := l.load(first, "a", "b"); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"a", "b"}, *got); diff != "" {
			t.Errorf("%s first (-want +got)\n%s", first, diff)
		}
	}
}

// renamed is an archive with the modules' folder of another kernel.
func renamed(t *testing.T, archive []byte, dir string) []byte {
	t.Helper()
	var out []cpioEntry
	r := newcReader{rest: archive}
	for {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			return newcArchive(out...)
		}
		if err != nil {
			t.Fatal(err)
		}
		mode := uint32(f.Mode.Perm())
		switch {
		case f.Mode.IsDir():
			mode |= 0o040000
		case f.Mode.IsRegular():
			mode |= 0o100000
		default:
			mode |= 0o120000
		}
		out = append(out, cpioEntry{strings.Replace(f.Name, modulesDir, dir, 1), mode, string(f.Data)})
	}
}

func TestLoadFromStage(t *testing.T) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	root := kernelTree(t, map[string]string{"first.ko": "module first"})
	files, parts := testParts(t)
	ours := "lib/modules/" + unix.ByteSliceToString(u.Release[:])
	s := &stage{root: root, parts: map[string]StagePart{}, files: map[string][]byte{}}
	var err error
	if s.dec, err = zstd.NewReader(nil); err != nil {
		t.Fatal(err)
	}
	byHash := map[string][]byte{}
	for i, p := range parts {
		archive, err := s.dec.DecodeAll(p, nil)
		if err != nil {
			t.Fatal(err)
		}
		p = pack(t, renamed(t, archive, ours))
		sum := sha256.Sum256(p)
		hash := hex.EncodeToString(sum[:])
		byHash[hash] = p
		name := strings.Replace(files[i], modulesDir, ours, 1)
		s.parts[name] = StagePart{File: name, SHA256: hash}
	}
	s.fetch = func(p StagePart) ([]byte, error) { return byHash[p.SHA256], nil }
	if err := s.bring(""); err != nil {
		t.Fatal(err)
	}
	l, got := inserted(t, root, s, nil)
	if err := l.load(l.table.matching("pci:v00001000d00000001sv1sd1bc01sc07i00")...); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"\x7fELF scsi", "\x7fELF hba"}, *got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if _, err := os.Stat(filepath.Join(root, "lib/firmware/hba.bin")); err != nil {
		t.Errorf("firmware was not there in time: %v", err)
	}
}

func TestSettle(t *testing.T) {
	sys := t.TempDir()
	plugs := 0
	plug := func() error { plugs++; return nil }
	start := time.Now()
	if err := settle(t.Context(), sys, plug); err != nil || time.Since(start) > stillFor || plugs != 0 {
		t.Errorf("without a controller: %v after %s, %d plugs", err, time.Since(start), plugs)
	}
	disk := filepath.Join(sys, "block/sda")
	for _, dir := range []string{"class/scsi_host/host0", "bus/scsi/devices/0:0:0:0"} {
		if err := os.MkdirAll(filepath.Join(sys, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	err := settle(t.Context(), sys, func() error {
		plugs++
		return os.MkdirAll(disk, 0o755)
	})
	if err != nil || plugs != 2 {
		t.Errorf("%v, %d plugs", err, plugs)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := settle(ctx, sys, plug); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}
