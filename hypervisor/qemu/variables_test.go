package qemu

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// emptyStore is a variable image with no variables and room for size bytes.
func emptyStore(size int) []byte {
	image := bytes.Repeat([]byte{0xff}, 72+storeHeaderBytes+size)
	clear(image[:72+storeHeaderBytes])
	copy(image[40:], "_FVH")
	binary.LittleEndian.PutUint16(image[48:], 72)
	copy(image[72:], authenticatedStore[:])
	binary.LittleEndian.PutUint32(image[72+16:], uint32(storeHeaderBytes+size))
	return image
}

// read returns the data of a global variable, nil when there is none.
func read(t testing.TB, v *variables, name string) []byte {
	t.Helper()
	cur, ok, err := v.find(name)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return nil
	}
	return v.image[cur.data : cur.data+cur.dataBytes]
}

func TestVariables(t *testing.T) {
	v, err := parseVariables(emptyStore(700))
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, v, "BootNext"); got != nil {
		t.Errorf("BootNext of an empty store = %x", got)
	}
	for _, value := range [][]byte{{1, 0}, {2, 0, 3}, {4}} {
		if err := v.set("BootNext", value); err != nil {
			t.Fatal(err)
		}
		if err := v.set("Other", []byte{9}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(value, read(t, v, "BootNext")); diff != "" {
			t.Errorf("BootNext (-want +got):\n%s", diff)
		}
	}
	before := bytes.Clone(v.image)
	if err := v.set("BootNext", make([]byte, 600)); err == nil {
		t.Error("set of more than the store holds = nil; want an error")
	}
	if !bytes.Equal(before, v.image) {
		t.Error("a refused set changed the image")
	}
}

// TestNetworkOption compares with the option that OVMF itself wrote for this card.
func TestNetworkOption(t *testing.T) {
	mac := mustMAC(t, "52:54:00:ab:cd:01")
	path := "02010c00d041030a00000000" + "010106000010" +
		"030b2500525400abcd01" + strings.Repeat("00", 26) + "01" +
		"030c1b00" + strings.Repeat("00", 23)
	if got := hex.EncodeToString(networkPath(protocolPXE, 0x10, mac)); got != path+"7fff0400" {
		t.Errorf("PXE path = %s; want %s", got, path+"7fff0400")
	}
	if got := hex.EncodeToString(networkPath(protocolHTTP, 0x10, mac)); got != path+"031804007fff0400" {
		t.Errorf("HTTP path = %s", got)
	}
	o := networkOption(protocolPXE, 0x10, mac)
	if want := utf16Bytes("UEFI PXEv4 (MAC:525400ABCD01)"); !bytes.Equal(o[6:6+len(want)], want) {
		t.Errorf("description = %q", o[6:6+len(want)])
	}
}

func TestSeedBootOrder(t *testing.T) {
	nic := func(i int) NIC { return NIC{MAC: mustMAC(t, "52:54:00:00:00:01"), Model: NICVirtio, BootIndex: i} }
	tests := []struct {
		name  string
		edit  func(*Config)
		order []byte
	}{
		{"one card", func(c *Config) { c.NICs = []NIC{nic(0)} }, []byte{0, 0}},
		{"http first", func(c *Config) { c.NICs, c.HTTPFirst = []NIC{nic(0)}, true }, []byte{0, 0, 1, 0}},
		{"two of three cards", func(c *Config) { c.NICs = []NIC{nic(0), nic(-1), nic(0)} }, []byte{0, 0, 1, 0}},
		{"disk first", func(c *Config) { c.NICs, c.Boot = []NIC{nic(0)}, BootDisk }, nil},
		{"fixed", func(c *Config) { c.NICs, c.FixedBoot = []NIC{nic(0)}, true }, nil},
		{"no card", func(*Config) {}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, err := parseVariables(emptyStore(4096))
			if err != nil {
				t.Fatal(err)
			}
			c := Config{Firmware: FirmwareUEFI}
			tt.edit(&c)
			if err := c.seedBootOrder(v); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.order, read(t, v, "BootOrder")); diff != "" {
				t.Errorf("BootOrder (-want +got):\n%s", diff)
			}
		})
	}
}

// TestVariablesOfOVMF reads the templates of the installed firmware.
func TestVariablesOfOVMF(t *testing.T) {
	for _, f := range []Firmware{FirmwareUEFI, FirmwareSecureBoot} {
		fw, err := f.flash()
		if err != nil {
			t.Skip(err)
		}
		image, err := os.ReadFile(fw.vars)
		if err != nil {
			t.Fatal(err)
		}
		v, err := parseVariables(image)
		if err != nil {
			t.Fatalf("%s: %v", fw.vars, err)
		}
		if err := v.set("BootNext", []byte{7, 0}); err != nil {
			t.Errorf("%s: set: %v", fw.vars, err)
		}
		if diff := cmp.Diff([]byte{7, 0}, read(t, v, "BootNext")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", fw.vars, diff)
		}
		if len(read(t, v, "PK")) == 0 == (f == FirmwareSecureBoot) {
			t.Errorf("%s: platform key of %d bytes", fw.vars, len(read(t, v, "PK")))
		}
	}
}

func FuzzVariables(f *testing.F) {
	v, err := parseVariables(emptyStore(300))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bytes.Clone(v.image))
	v.set("BootNext", []byte{1, 0})
	f.Add(bytes.Clone(v.image))
	f.Add(v.image[:90])
	f.Fuzz(func(t *testing.T, image []byte) {
		v, err := parseVariables(image)
		if err != nil {
			return
		}
		if err := v.set("BootNext", []byte{5, 0}); err != nil {
			return
		}
		if got := read(t, v, "BootNext"); !bytes.Equal(got, []byte{5, 0}) {
			t.Errorf("BootNext = %x after set", got)
		}
	})
}
