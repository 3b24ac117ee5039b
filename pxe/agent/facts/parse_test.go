package facts

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
)

func TestTransport(t *testing.T) {
	const pci = "/sys/devices/pci0000:00/0000:00:17.0"
	for place, want := range map[string]string{
		pci + "/ata1/host0/target0:0:0/0:0:0:0/block/sda":                                                         "sata",
		pci + "/usb1/1-2/1-2:1.0/host4/target4:0:0/4:0:0:0/block/sdb":                                             "usb",
		pci + "/host0/port-0:0/expander-0:0/port-0:0:1/end_device-0:0:1/target0:0:1/0:0:1:0/block/sdc":            "sas",
		pci + "/host8/rport-8:0-3/target8:0:1/8:0:1:0/block/sdd":                                                  "fc",
		"/sys/devices/platform/host9/session1/target9:0:0/9:0:0:1/block/sde":                                      "iscsi",
		pci + "/virtio2/host6/target6:0:0/6:0:0:0/block/sdf":                                                      "scsi",
		pci + "/host2/target2:2:0/2:2:0:0/block/sdg":                                                              "scsi",
		pci + "/virtio1/block/vda":                                                                                "virtio",
		pci + "/nvme/nvme0/nvme0n1":                                                                               "nvme",
		"/sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1":                                                "nvme",
		pci + "/mmc_host/mmc0/mmc0:0001/block/mmcblk0":                                                            "mmc",
		"/sys/devices/vbd-51712/block/xvda":                                                                       "xen",
		"/sys/devices/LNXSYSTM:00/LNXSYBUS:00/ACPI0012:00/ndbus0/region0/namespace0.0/block/pmem0":                "",
		"/sys/devices/LNXSYSTM:00/LNXSYBUS:00/PNP0A03:00/device:07/VMBUS:01/uuid/host0/target0:0:0/0:0:0:0/block": "scsi",
		"": "",
	} {
		if got := transport(place); got != want {
			t.Errorf("%s: got %q, want %q", place, got, want)
		}
	}
}

func TestATAStatus(t *testing.T) {
	aborted := ataSense(true)
	aborted[21] = 0x51 // ERR: the registers are as they were sent
	for _, tt := range []struct {
		name  string
		sense []byte
		want  bool
		fails bool
	}{
		{"well", ataSense(true), true, false},
		{"threshold exceeded", ataSense(false), false, false},
		{"command aborted", aborted, false, true},
		{"fixed format", []byte{0x70, 0, 1, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0x1d}, false, true},
		{"cut", ataSense(true)[:15], false, true},
		{"empty", nil, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseATAStatus(tt.sense)
			if got != tt.want || (err != nil) != tt.fails {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestWWN(t *testing.T) {
	for wwid, want := range map[string]string{
		"naa.5000C500A1B2C3D4": "0x5000c500a1b2c3d4", "eui.0025385b11b0d6a5": "eui.0025385b11b0d6a5", "eui.0000000000000000": "",
		"t10.ATA     QEMU HARDDISK": "", "nvme.8086-31-32-00000001": "", "uuid.5c6d0000-0000-4000-8000-000000000001": "uuid.5c6d0000-0000-4000-8000-000000000001",
		"naa.": "", "naa.xyz": "", "": "",
	} {
		if got := wwn(wwid); got != want {
			t.Errorf("%q: got %q, want %q", wwid, got, want)
		}
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"  Dell   Inc. \n": "Dell Inc.", "PowerEdge\x00garbage": "PowerEdge", "a\x01\x1b[31mb": "a[31mb", "bad\xff\xfeutf": "badutf", "tab\there": "tab here", "": "",
	} {
		if got := clean(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestRootIsNoMachine(t *testing.T) {
	_, err := Collect(t.Context(), Options{Root: t.TempDir()})
	if !errors.Is(err, inventory.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
}

// TestEmptyMachine: a tree with nothing in it gives facts with notes, not an error.
func TestEmptyMachine(t *testing.T) {
	d := newDump(t)
	d.dir("sys")
	f, err := Collect(t.Context(), Options{Root: d.root})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"CPU: neither /proc/cpuinfo nor SMBIOS names one", "SMBIOS: no /sys/firmware/dmi/tables/smbios_entry_point"}
	if diff := cmp.Diff(want, f.Unread); diff != "" {
		t.Errorf("unread (-want +got):\n%s", diff)
	}
}

// TestLinkOutOfTree: a dump's link that leads out of it is not followed.
func TestLinkOutOfTree(t *testing.T) {
	d := newDump(t)
	d.link("sys/class/net/eth0", "../../../../../../../../../../../../etc")
	if got := newTree(d.root).link("sys/class/net/eth0"); got != "" {
		t.Errorf("link leads to %q", got)
	}
}

func TestHangingDeviceIsLeft(t *testing.T) {
	release, ended := make(chan struct{}), make(chan struct{})
	_, err := within(t.Context(), time.Millisecond, func() (int, error) {
		defer close(ended)
		<-release
		return 1, nil
	})
	if !errors.Is(err, errNoAnswer) {
		t.Errorf("got %v", err)
	}
	close(release)
	<-ended
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if v, err := within(ctx, time.Hour, func() (int, error) { <-ctx.Done(); return 0, ctx.Err() }); v != 0 || err == nil {
		t.Errorf("got %d, %v", v, err)
	}
}

// TestThisMachine reads the machine that runs the test, whatever it has.
func TestThisMachine(t *testing.T) {
	start := time.Now()
	f, err := Collect(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s in %s, unread: %q", f.Summary(), time.Since(start).Round(time.Millisecond), f.Unread)
	if f.Memory.TotalBytes == 0 || len(f.CPUs) == 0 || f.Agent.Kernel == "" {
		t.Errorf("memory %d, CPUs %d, kernel %q", f.Memory.TotalBytes, len(f.CPUs), f.Agent.Kernel)
	}
}

// FuzzAnswers gives the parsers of device answers hostile bytes.
func FuzzAnswers(f *testing.F) {
	data, limits := ataSMARTData(attribute{5, 1, 2, 3}, attribute{194, 1, 2, 40})
	for _, seed := range [][]byte{nvmeLog(0xff, 20, 3, 4, 5), ataIdentity("m", "s", "f", 0x5000c50000000001), data, limits, ataSense(true), ataSense(false),
		append([]byte{0x2f, 0, 0, 8}, logParameter(0, 0x5d, 1, 30, 40)...), append([]byte{0x15, 0, 0, 12}, logParameter(0, 0, 0, 1, 0, 0, 0, 0, 0)...),
		[]byte(vpdNAA(0x5000c50000000001)), []byte(vpdSerial("serial")), driverInfo("d", "f"), permanent([6]byte{2, 0, 0, 0, 0, 1}),
		[]byte("\x80\x01\x00\x00\x00\x1b\x00\x00\x00\x00\x00\x00\x00\x00\x06\x00\x00\x00\x01\x00\x00\x01\x05IFX "), []byte("\x01\x00\x00\x00\x04\x00d\x00e\x00b\x00\x00\x00")} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := parseNVMeSMART(b); err == nil {
			warnHot(h, b)
		}
		if len(b) >= ataIdentifyBytes {
			parseATAIdentify(b)
		}
		_, _ = parseATASMART(b, b)
		_, _ = parseATAStatus(b)
		for _, code := range []byte{logReadErrors, logTemperature, logSolidState, logBackground, logExceptions} {
			if page, err := parseLogPage(code, b); err == nil {
				_, _ = parseExceptions(page, &inventory.DiskHealth{})
				addLogPage(&inventory.DiskHealth{}, code, page)
			}
		}
		designatedWWN(b)
		unitSerial(b)
		parseDriverInfo(b)
		parsePermanent(b)
		parseDeviceID(b)
		privateFlag(b, b, "disable-fw-lldp")
		loadOptionLabel(b)
		_, _ = parseTPMManufacturer(b)
		tpm12Manufacturer(string(b))
		memTotal(string(b))
		memoryMaker(string(b))
		wwn(string(b))
		transport(string(b))
		pciOf(string(b))
		_ = pciID(string(b), 6)
	})
}
