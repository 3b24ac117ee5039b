package agent

import (
	"encoding/binary"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ingot/images/master"
	"ingot/inventory"
)

func testESP(t testing.TB) *espEntry {
	t.Helper()
	id, err := master.ParseGUID("c12a7328-0000-4444-8888-0123456789ab")
	if err != nil {
		t.Fatal(err)
	}
	return &espEntry{number: 1, startLBA: 2048, sectors: 4096, id: id}
}

// TestLoadOption holds the bytes against UEFI 2.10, sections 3.1.3 and 10.3.5.
func TestLoadOption(t *testing.T) {
	want := strings.Join([]string{
		"01000000",                              // LOAD_OPTION_ACTIVE
		"6400",                                  // the path's length: 42 + 54 + 4
		"49006e0067006f0074000000",              // Ingot
		"04012a00",                              // media, hard drive, 42 bytes
		"01000000",                              // partition 1
		"0008000000000000",                      // from sector 2048
		"0010000000000000",                      // 4096 sectors
		"28732ac100004444" + "88880123456789ab", // the partition's GUID
		"0202",                                  // GPT, signature is a GUID
		"04043200",                              // media, file path, 50 bytes
	}, "")
	got := hex.EncodeToString(loadOption("Ingot", testESP(t)))
	file := hex.EncodeToString(ucs2(loaderPath))
	want = strings.Replace(want, "04043200", "0404"+hex.EncodeToString(binary.LittleEndian.AppendUint16(nil, uint16(4+len(file)/2))), 1)
	want = strings.Replace(want, "6400", hex.EncodeToString(binary.LittleEndian.AppendUint16(nil, uint16(42+4+len(file)/2+4))), 1)
	want += file + "7fff0400"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if label, ok := optionLabel(loadOption("Ingot disk", testESP(t))); !ok || label != "Ingot disk" {
		t.Errorf("label %q", label)
	}
}

// vars is a folder in efivarfs' place.
func vars(t testing.TB, values map[string][]byte) firmware {
	t.Helper()
	f := firmware{t.TempDir()}
	values["SecureBoot"] = []byte{0}
	for name, value := range values {
		if err := os.WriteFile(f.path(name), append([]byte{7, 0, 0, 0}, value...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// option is an entry; one of a NIC has its MAC in the path.
func option(label string, network bool) []byte {
	path := appendNode(nil, 2, 1, make([]byte, 8)) // ACPI
	if network {
		path = appendNode(path, nodeMessaging, messagingMAC, make([]byte, 33))
	}
	path = appendNode(path, nodeEnd, 0xff, nil)
	out := binary.LittleEndian.AppendUint32(nil, 1)
	out = binary.LittleEndian.AppendUint16(out, uint16(len(path)))
	return append(append(out, ucs2(label)...), path...)
}

func TestBootOrder(t *testing.T) {
	net, cd, old := option("UEFI PXEv4", true), option("UEFI CD", false), option("debian", false)
	for _, c := range []struct {
		name         string
		values       map[string][]byte
		networkFirst bool
		entry        string
		order        []uint16
	}{
		{"nothing set", map[string][]byte{}, false, "Boot0000", []uint16{0}},
		{"disk first", map[string][]byte{"Boot0000": net, "Boot0001": cd, "BootOrder": encodeOrder([]uint16{0, 1})}, false, "Boot0002", []uint16{2, 0, 1}},
		{"a gap is used", map[string][]byte{"Boot0000": net, "Boot0002": cd, "BootOrder": encodeOrder([]uint16{2, 0})}, false, "Boot0001", []uint16{1, 2, 0}},
		{"ours is reused, behind a gap", map[string][]byte{"Boot0003": option(bootLabel, false), "Boot0001": net, "BootOrder": encodeOrder([]uint16{1, 3})}, false, "Boot0003", []uint16{3, 1}},
		{"network first", map[string][]byte{"Boot0000": old, "Boot0001": net, "Boot0002": cd, "BootOrder": encodeOrder([]uint16{0, 1, 2})}, true, "Boot0003", []uint16{1, 3, 0, 2}},
		{"network first, without any", map[string][]byte{"Boot0000": old, "BootOrder": encodeOrder([]uint16{0})}, true, "Boot0001", []uint16{1, 0}},
		{"order names what is gone", map[string][]byte{"BootOrder": encodeOrder([]uint16{9, 8})}, false, "Boot0000", []uint16{0, 9, 8}},
		{"broken entries", map[string][]byte{"Boot0000": {1}, "Boot0001": nil, "BootOrder": {1}}, true, "Boot0002", []uint16{2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := testAgent(t, nil, newDisk(t, mib, 512))
			a.machine.efi = vars(t, c.values)
			o := deployOrder(t, serveImage(t, 512, cloudInit()), 1)
			o.Deploy.NetworkFirst = c.networkFirst
			for range 2 {
				if err := a.bootOrder(o, testESP(t)); err != nil {
					t.Fatal(err)
				}
				order, err := a.machine.efi.read("BootOrder")
				if diff := cmp.Diff(c.order, decodeOrder(order)); diff != "" || err != nil {
					t.Errorf("order: %v (-want +got)\n%s", err, diff)
				}
				entry, err := a.machine.efi.read(c.entry)
				if diff := cmp.Diff(loadOption(bootLabel, testESP(t)), entry); diff != "" || err != nil {
					t.Errorf("%s: %v (-want +got)\n%s", c.entry, err, diff)
				}
			}
		})
	}
}

func TestBootOrderOfBIOS(t *testing.T) {
	a := testAgent(t, nil, newDisk(t, mib, 512))
	o := deployOrder(t, serveImage(t, 512, cloudInit()), 1)
	if err := a.bootOrder(o, testESP(t)); err != nil {
		t.Error(err)
	}
	a.machine.efi = firmware{t.TempDir()}
	if text := contains(a.bootOrder(o, testESP(t)), "efivarfs is not mounted"); text != "" {
		t.Error(text)
	}
}

// TestBootOrderAfterCut: the power went between the marker and the boot order.
func TestBootOrderAfterCut(t *testing.T) {
	s := serveImage(t, 512, cloudInit())
	a := testAgent(t, s, newDisk(t, 64*mib, 512))
	o := deployOrder(t, s, 3)
	if err := a.deploy(t.Context(), o, &inventory.Report{}); err != nil {
		t.Fatal(err)
	}
	a.machine.efi = vars(t, map[string][]byte{})
	if err := a.deploy(t.Context(), o, &inventory.Report{}); err != nil {
		t.Fatal(err)
	}
	if order, err := a.machine.efi.read("BootOrder"); err != nil || len(order) != 2 {
		t.Errorf("order %v, %v", order, err)
	}
}

// TestLoadOptionByEfibootmgr lets another program read what is written. The library
// behind it takes a folder in efivarfs' place.
func TestLoadOptionByEfibootmgr(t *testing.T) {
	program, err := exec.LookPath("efibootmgr")
	if err != nil {
		t.Skip("efibootmgr is not installed")
	}
	f := vars(t, map[string][]byte{"Boot0000": option("PXE", true), "BootOrder": encodeOrder([]uint16{0})})
	number, err := f.putEntry(testESP(t))
	if err == nil {
		err = f.putFirst(number, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-v")
	cmd.Env = append(os.Environ(), "LIBEFIVAR_OPS=efivarfs", "EFIVARFS_PATH="+f.dir+"/")
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "not supported") {
		t.Skipf("efibootmgr does not take a folder: %s", out)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"BootOrder: 0001,0000", "Boot0001* Ingot disk", "HD(1,GPT,c12a7328-0000-4444-8888-0123456789ab,0x800,0x1000)", `File(\EFI\BOOT\BOOTX64.EFI)`} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is not in:\n%s", want, out)
		}
	}
}

func FuzzLoadOption(f *testing.F) {
	f.Add(option("debian", true))
	f.Add(loadOption(bootLabel, &espEntry{number: 1}))
	f.Add([]byte{1, 0, 0, 0, 0xff, 0xff, 'a', 0, 0, 0, 3, 11, 0, 0})
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _ = optionLabel(data)
		_ = isNetwork(data)
	})
}

func TestReadVariable(t *testing.T) {
	f := vars(t, map[string][]byte{})
	if err := os.WriteFile(f.path("Short"), []byte{7}, 0o600); err != nil {
		t.Fatal(err)
	}
	if text := contains(func() error { _, err := f.read("Short"); return err }(), "it has 1 bytes"); text != "" {
		t.Error(text)
	}
	if err := (firmware{filepath.Join(f.dir, "none")}).write("X", nil); err == nil {
		t.Error("write into a folder that is not there: no error")
	}
}
