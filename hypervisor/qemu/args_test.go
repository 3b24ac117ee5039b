package qemu

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func mustMAC(t testing.TB, s string) net.HardwareAddr {
	t.Helper()
	mac, err := net.ParseMAC(s)
	if err != nil {
		t.Fatal(err)
	}
	return mac
}

func TestDeviceArguments(t *testing.T) {
	disk := Disk{Path: "/a,b", Format: "raw", Serial: "S1", WWN: 0x5000c500a1b2c3d4}
	tests := []struct {
		name    string
		bus     Bus
		wwn     uint64
		sectors int
		want    []string
	}{
		{"virtio", BusVirtio, 0, 4096, []string{"virtio-blk-pci,drive=d,logical_block_size=4096,physical_block_size=4096,serial=S1,bootindex=7"}},
		{"sata", BusSATA, disk.WWN, 0, []string{"ich9-ahci,id=dbus", "ide-hd,bus=dbus.0,drive=d,logical_block_size=512,physical_block_size=512,serial=S1,wwn=0x5000c500a1b2c3d4,bootindex=7"}},
		{"nvme", BusNVMe, disk.WWN, 4096, []string{"nvme,id=dbus,serial=S1", "nvme-ns,bus=dbus,drive=d,logical_block_size=4096,physical_block_size=4096,eui64=0x5000c500a1b2c3d4,bootindex=7"}},
		{"scsi", BusSCSI, disk.WWN, 0, []string{"virtio-scsi-pci,id=dbus", "scsi-hd,bus=dbus.0,drive=d,logical_block_size=512,physical_block_size=512,serial=S1,wwn=0x5000c500a1b2c3d4,bootindex=7"}},
		{"megasas", BusMegaSAS, 0, 0, []string{"megasas-gen2,id=dbus", "scsi-hd,bus=dbus.0,drive=d,logical_block_size=512,physical_block_size=512,serial=S1,bootindex=7"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := disk
			d.Bus, d.WWN, d.SectorBytes = tt.bus, tt.wwn, tt.sectors
			var got []string
			for _, a := range d.deviceArgs("d", ",bootindex=7") {
				if a != "-device" {
					got = append(got, a)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("deviceArgs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBootIndexes(t *testing.T) {
	nics := []NIC{{}, {BootIndex: -1}, {BootIndex: 9}}
	tests := []struct {
		name                   string
		firmware               Firmware
		boot                   BootOrder
		fixed                  bool
		nic0, nic1, nic2, disk string
	}{
		{"BIOS network", FirmwareBIOS, "", false, ",bootindex=101", "", ",bootindex=109", ",bootindex=200"},
		{"BIOS disk", FirmwareBIOS, BootDisk, false, ",bootindex=201", "", ",bootindex=209", ",bootindex=100"},
		{"UEFI keeps its own", FirmwareUEFI, "", false, "", "", "", ""},
		{"UEFI fixed", FirmwareUEFI, BootNetwork, true, ",bootindex=101", "", ",bootindex=109", ",bootindex=200"},
		{"UEFI media", FirmwareUEFI, BootMedia, false, ",bootindex=301", "", ",bootindex=309", ",bootindex=200"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := Config{Firmware: tt.firmware, Boot: tt.boot, FixedBoot: tt.fixed, NICs: nics}.bootIndexes()
			want := []string{tt.nic0, tt.nic1, tt.nic2, tt.disk}
			if diff := cmp.Diff(want, []string{b.nic(0), b.nic(1), b.nic(2), b.disk(0)}); diff != "" {
				t.Errorf("boot indexes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNICROM(t *testing.T) {
	for _, tt := range []struct {
		firmware Firmware
		model    NICModel
		noROM    bool
	}{
		{FirmwareBIOS, NICVirtio, false},
		{FirmwareUEFI, NICVirtio, true},
		{FirmwareSecureBoot, NICVirtio, true},
		{FirmwareUEFI, NICVMXNET3, false},
	} {
		n := NIC{MAC: mustMAC(t, "52:54:00:00:00:01"), Model: tt.model}
		got := strings.Contains(strings.Join(n.args(0, tt.firmware, ""), " "), "romfile=")
		if got != tt.noROM {
			t.Errorf("%s on %s: romfile= is %v; want %v", tt.model, tt.firmware, got, tt.noROM)
		}
	}
}

func TestValidate(t *testing.T) {
	raw := filepath.Join(t.TempDir(), "d.raw")
	if err := os.WriteFile(raw, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ok := func() Config {
		return Config{Name: "m", Dir: "/d", Firmware: FirmwareUEFI, Accelerator: AcceleratorTCG, MemoryMiB: 512,
			Disks: []Disk{{Path: raw, Format: "raw", Bus: BusVirtio}},
			NICs:  []NIC{{MAC: mustMAC(t, "52:54:00:00:00:01"), Model: NICVirtio}}}
	}
	tests := []struct {
		name string
		edit func(*Config)
		want string // "" is valid
	}{
		{"good", func(*Config) {}, ""},
		{"firmware", func(c *Config) { c.Firmware = "coreboot" }, `firmware "coreboot": use one of [bios uefi uefi-http secureboot]`},
		{"accelerator", func(c *Config) { c.Accelerator = "" }, `accelerator ""`},
		{"memory", func(c *Config) { c.MemoryMiB = 0 }, "memory 0 MiB"},
		{"uuid", func(c *Config) { c.UUID = "1234" }, `uuid "1234"`},
		{"append without kernel", func(c *Config) { c.Append = "quiet" }, "need a kernel"},
		{"http first on bios", func(c *Config) { c.Firmware, c.HTTPFirst = FirmwareBIOS, true }, "HTTP first"},
		{"http first, fixed", func(c *Config) { c.HTTPFirst, c.FixedBoot = true, true }, "fixed boot order"},
		{"no cdrom", func(c *Config) { c.CDROM = "/no/such.iso" }, "/no/such.iso"},
		{"bus", func(c *Config) { c.Disks[0].Bus = "floppy" }, `disk 0: bus "floppy"`},
		{"format", func(c *Config) { c.Disks[0].Format = "" }, "format is required"},
		{"nvme serial", func(c *Config) { c.Disks[0].Bus = BusNVMe }, "needs a serial"},
		{"virtio wwn", func(c *Config) { c.Disks[0].WWN = 1 }, "no world wide name"},
		{"sata 4096", func(c *Config) { c.Disks[0].Bus, c.Disks[0].SectorBytes = BusSATA, 4096 }, "512-byte sectors only"},
		{"sector", func(c *Config) { c.Disks[0].SectorBytes = 520 }, "sector size 520: use one of [512 4096]"},
		{"no disk file", func(c *Config) { c.Disks[0].Path = "/no/such.raw" }, "/no/such.raw"},
		{"no mac", func(c *Config) { c.NICs[0].MAC = nil }, "want 6 bytes"},
		{"group mac", func(c *Config) { c.NICs[0].MAC[0] = 1 }, "group address"},
		{"nic model", func(c *Config) { c.NICs[0].Model = "ne2k" }, `network card 0: model "ne2k"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := ok()
			tt.edit(&c)
			err := c.Validate()
			if tt.want == "" {
				if err != nil {
					t.Errorf("Validate = %v; want nil", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Validate = %v; want it to say %q", err, tt.want)
			}
		})
	}
}

func TestChannelAndRestrict(t *testing.T) {
	c := Config{Name: "m", Dir: "/d", Firmware: FirmwareBIOS, Accelerator: AcceleratorTCG, MemoryMiB: 64, Channel: "org.ingot.run.0",
		NICs: []NIC{{MAC: mustMAC(t, "52:54:00:00:00:01"), Model: NICVirtio, Restrict: true, Forwards: []Forward{{netip.MustParseAddrPort("10.0.2.100:80"), "a.sock"}}}}}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	args := strings.Join(c.args(flash{}), " ")
	for _, want := range []string{"-chardev socket,id=channel,fd=5,server=on,wait=off -device virtio-serial-pci -device virtserialport,chardev=channel,name=org.ingot.run.0", "-chardev socket,id=nic0forward0,reconnect=1,path=a.sock -netdev user,id=nic0,restrict=on,guestfwd=tcp:10.0.2.100:80-chardev:nic0forward0 "} {
		if !strings.Contains(args, want) {
			t.Errorf("arguments lack %q: %s", want, args)
		}
	}
	c.Channel = "a,b"
	c.NICs[0].Tap = "tap0"
	err := c.Validate()
	for _, want := range []string{`channel "a,b"`, "tap tap0"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate = %v, want %q", err, want)
		}
	}
}
