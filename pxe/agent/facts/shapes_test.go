package facts

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
)

var update = flag.Bool("update", false, "write the facts that were read into testdata")

const (
	gib = 1 << 30
	tb  = 1_000_000_000_000
)

// TestShapes reads dumps of machines of different makes and holds the facts against
// testdata/NAME.json.
func TestShapes(t *testing.T) {
	for _, tt := range []struct {
		name  string
		build func(d *dump)
		boot  inventory.MAC
		// trusted is what the facts identify the machine by.
		trusted inventory.Identity
	}{
		{"two-socket-raid", twoSocketRAID, "b0:26:28:00:00:01", inventory.Identity{UUID: "4c4c4544-0035-5810-8052-b7c04f4a4d33", Serial: "7X5RJM3",
			MACs: []inventory.MAC{"b0:26:28:00:00:01", "b0:26:28:00:00:02", "b0:26:28:00:00:03", "b0:26:28:00:00:04"}}},
		{"nvme-and-sas", nvmeAndSAS, "", inventory.Identity{UUID: "30373237-3132-435a-3330-313435363738", Serial: "CZ30145678",
			MACs: []inventory.MAC{"48:df:37:00:00:01", "48:df:37:00:00:02"}}},
		{"bogus-identity", bogusIdentity, "0c:c4:7a:00:00:01", inventory.Identity{MACs: []inventory.MAC{"0c:c4:7a:00:00:01", "0c:c4:7a:00:00:02"}}},
		{"small-desktop", smallDesktop, "", inventory.Identity{UUID: "88776655-4433-2211-0f0e-0d0c0b0a0908", Serial: "G6AB1234",
			MACs: []inventory.MAC{"1c:69:7a:00:00:01"}}},
		{"gpu-single-socket", gpuSingleSocket, "", inventory.Identity{UUID: "00112233-4455-6677-8899-aabbccddeeff", Serial: "GPU-0001",
			MACs: []inventory.MAC{"e8:eb:d3:00:00:01", "e8:eb:d3:00:00:02"}}},
		{"storage-4kn", storage4Kn, "", inventory.Identity{UUID: "aabbccdd-0011-2233-4455-66778899aabb", Serial: "STOR-36",
			MACs: []inventory.MAC{"3c:ec:ef:00:00:01"}}},
		{"arm64", arm64Server, "", inventory.Identity{UUID: "deadbeef-0001-0002-0304-05060708090a", Serial: "ARM-80",
			MACs: []inventory.MAC{"d8:5e:d3:00:00:01"}}},
		{"virtual-no-tables", virtualNoTables, "", inventory.Identity{UUID: "6f0e8b6c-0000-4000-8000-000000000001",
			MACs: []inventory.MAC{"52:54:00:00:00:01"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDump(t)
			tt.build(d)
			f, err := Collect(t.Context(), Options{Root: d.root, BootMAC: tt.boot, AgentVersion: "test"})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.trusted, f.Identity()); diff != "" {
				t.Errorf("identity (-want +got):\n%s", diff)
			}
			compareGolden(t, tt.name, f)
		})
	}
}

func compareGolden(t *testing.T, name string, f *inventory.Facts) {
	t.Helper()
	got, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(path, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
}

// twoSocketRAID: a 2U server with 16 of 24 DIMMs, two RAID volumes, four ports of which
// two are cabled to a pair of switches, a BMC on channel 1, Secure Boot on.
func twoSocketRAID(d *dump) {
	records := [][]byte{
		biosRecord("Dell Inc.", "1.9.2", "11/04/2025"),
		systemRecord("Dell Inc.", "PowerEdge R750", "7X5RJM3", "44454c4c350010588052b7c04f4a4d33", "SKU=090E;ModelName=PowerEdge R750"),
		boardRecord("Dell Inc.", "RISER1", "RISER", false),
		boardRecord("Dell Inc.", "0WT8Y6", ".7X5RJM3.CNFCP0012345.", true),
		chassisRecord("Dell Inc.", 0x97, "7X5RJM3", "RACK-12", 2), // 0x80: has a lock
		cpuRecord("CPU1", "Intel", "Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz", 4000, 32, 64),
		cpuRecord("CPU2", "Intel", "Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz", 4000, 32, 64),
		ipmiRecord(),
	}
	for i := range 24 {
		size := uint32(32 << 10)
		if i%12 >= 8 {
			size = 0
		}
		records = append(records, dimmRecord(fmt.Sprintf("%c%d", 'A'+i/12, i%12+1), "", size, 0x1a, 3200, "00AD063200AD", fmt.Sprintf("2F1B%04X", i), "HMA84GR7DJR4N-XN", true))
	}
	d.tables(3, 3, records...)
	d.cpus("GenuineIntel", "Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz", "aes avx avx2 avx512f sha_ni sse4_2 vmx lm sgx", 2, 32, 2, 512*gib-9*gib)
	d.efi(1, 0, "debian", "Integrated NIC 1 Port 1 Partition 1", "Virtual Floppy Drive")
	d.tpm2("IFX ")
	d.pci("0000:00:00.0", "0600", "8086:09a2", "")
	d.pci("0000:03:00.0", "0300", "102b:0536", "mgag200")
	raid := d.pci("0000:65:00.0", "0104", "1000:10e2", "megaraid_sas")
	for i, size := range []int64{480 * 1_000_000_000, 8 * tb} {
		d.disk(fmt.Sprintf("%s/host0/target0:3:%d/0:3:%d:0", raid, i, i), "sd"+string(rune('a'+i)), size, 512, i == 1,
			"device/vendor", "DELL    ", "device/model", "PERC H755 Front ", "device/rev", "5.16", "device/wwid", "naa.6f4ee0806a1b2c0"+fmt.Sprint(i)+"2c5d3e4f5a6b7c8d\n",
			"device/vpd_pg80", vpdSerial("008d7c6b5a4f3e5d2c0"+fmt.Sprint(i)))
	}
	for i := range 4 {
		port := d.pci(fmt.Sprintf("0000:31:00.%d", i), "0200", "14e4:16d7", "bnxt_en")
		name := fmt.Sprintf("eth%d", i)
		speed := 0
		if i < 2 {
			speed = 25000
			d.answer(name, "lldp", switchFrame(fmt.Sprintf("leaf-%c.example.net", 'a'+i), "Ethernet12/1", "r12-u07 port "+fmt.Sprint(i), 100, "\x00\x78"))
		}
		d.nic(port, name, fmt.Sprintf("b0:26:28:00:00:%02x", i+1), speed)
		d.answer(name, "ethtool-drvinfo", driverInfo("bnxt_en", "218.0.219.13/pkg 21.80.9.95"))
	}
	d.ipmi("ipmi-06-01", "00200106109202bf570100010000000000")
	d.ipmi("ipmi-06-42-01", "0001840180a20000000000")
	d.ipmi("ipmi-0c-02-01030000", "0011c0000245")
	d.ipmi("ipmi-0c-02-01040000", "001102")
	d.ipmi("ipmi-0c-02-01050000", "0011b02628aabbcc")
}

// nvmeAndSAS: a 1U server without RAID: NVMe for the system, SAS SSDs behind an HBA, the
// BMC on channel 2, Secure Boot off.
func nvmeAndSAS(d *dump) {
	records := [][]byte{
		biosRecord("HPE", "U30", "02/20/2025"),
		systemRecord("HPE", "ProLiant DL360 Gen10", "CZ30145678", "3732373032315a433330313435363738", "867959-B21"),
		boardRecord("HPE", "ProLiant DL360 Gen10", "PVEKZ0ARHBE0AB", false),
		chassisRecord("HPE", 0x17, "CZ30145678", "", 1),
		cpuRecord("Proc 1", "Intel(R) Corporation", "Intel(R) Xeon(R) Silver 4210R CPU @ 2.40GHz", 4000, 10, 20),
		emptySocket("Proc 2"),
	}
	for i := range 4 {
		records = append(records, dimmRecord(fmt.Sprintf("PROC 1 DIMM %d", i*3+1), "", 16<<10, 0x1a, 2933, "HPE", fmt.Sprintf("3A%06X", i), "P00920-B21", true))
	}
	d.tables(3, 2, records...)
	d.cpus("GenuineIntel", "Intel(R) Xeon(R) Silver 4210R CPU @ 2.40GHz", "aes avx avx2 avx512f sse4_2 vmx lm", 1, 10, 2, 62*gib)
	d.files("sys/devices/system/cpu/cpu0/cpufreq", "cpuinfo_max_freq", "3200000")
	d.efi(0, 0, "Embedded FlexibleLOM 1 Port 1 : HPE Ethernet 10Gb 2-port", "Windows Boot Manager")
	d.tpm2("STM ")
	for i := range 2 {
		dev := d.pci(fmt.Sprintf("0000:5%d:00.0", i), "0108", "144d:a824", "nvme")
		d.nvme(dev, fmt.Sprintf("nvme%d", i), "SAMSUNG MZQL2960HCJR-00A07", fmt.Sprintf("S64FNE0R00000%d", i), "GDC5602Q", fmt.Sprintf("eui.36344630526000%02d0025384500000001", i), 960197124096,
			[][]byte{nvmeLog(0, 38, 3, 12345, 0), nvmeLog(0b101, 74, 97, 40123, 7)}[i])
	}
	hba := d.pci("0000:5c:00.0", "0107", "9005:028f", "smartpqi")
	for i := range 4 {
		dev := fmt.Sprintf("%s/host2/port-2:%d/end_device-2:%d/target2:0:%d/2:0:%d:0", hba, i, i, i, i)
		name := "sd" + string(rune('a'+i))
		d.disk(dev, name, 1600321314816, 512, false, "device/vendor", "HPE     ", "device/model", "VO001600JWZJQ   ", "device/rev", "HPD3",
			"device/vpd_pg80", vpdSerial(fmt.Sprintf("S5BFNA0N00000%d      ", i)), "device/vpd_pg83", vpdNAA(0x5002538b00000000+uint64(i)))
		exception := []byte{0, 0, 31, 70}
		if i == 3 {
			exception = []byte{0x5d, 0x10, 33, 70}
		}
		d.scsiLog(name, "2f", 0x2f, logParameter(0, exception...))
		d.scsiLog(name, "0d", 0x0d, logParameter(0, 0, byte(30+i)), logParameter(1, 0, 70))
		d.scsiLog(name, "11", 0x11, logParameter(1, 0, 0, 0, byte(5*i)))
		d.scsiLog(name, "15", 0x15, logParameter(0, 0, 0x12, 0x4f, 0x80, 0, 8, 0, 0, 0, 0, 0, 0))
		if i == 2 {
			d.scsiLog(name, "03", 0x03, logParameter(6, 0, 0, 0, 0, 0, 0, 0, 9))
		}
	}
	for i := range 2 {
		port := d.pci(fmt.Sprintf("0000:12:00.%d", i), "0200", "8086:1572", "i40e")
		d.nic(port, fmt.Sprintf("eno%d", i+1), fmt.Sprintf("48:df:37:00:00:%02x", i+1), 10000*(1-i))
		d.flags(fmt.Sprintf("eno%d", i+1), []string{"MFP", "total-port-shutdown", "flow-director-atr", "disable-fw-lldp"}, "flow-director-atr")
	}
	d.ipmi("ipmi-06-01", "00130111630282ff1f0001200000000000")
	d.ipmi("ipmi-06-42-02", "0002840100a20000000000")
	d.ipmi("ipmi-0c-02-02030000", "0011c6336407")
	d.ipmi("ipmi-0c-02-02040000", "001101")
	d.ipmi("ipmi-0c-02-02050000", "00119440c9000011")
}

// bogusIdentity: a board whose maker filled nothing in, with legacy boot, SMBIOS 2.8 and
// its 32-bit entry point; SATA disks on the chipset and behind a SAS HBA; the BMC's
// driver is missing.
func bogusIdentity(d *dump) {
	d.tables(2, 8,
		biosRecord("American Megatrends Inc.", "3.4", "07/08/2020"),
		systemRecord("Supermicro", "Super Server", "To be filled by O.E.M.", "00020003000400050006000700080009", "To be filled by O.E.M."),
		boardRecord("Supermicro", "X10DRi", "0123456789", true),
		chassisRecord("Supermicro", 0x17, "To be filled by O.E.M.", "Default string", 0),
		cpuRecord("CPU1", "Intel", "Intel(R) Xeon(R) CPU E5-2620 v4 @ 2.10GHz     ", 4000, 8, 16),
		dimmRecord("P1-DIMMA1", "P0_Node0_Channel0_Dimm0", 16<<10, 0x1a, 2133, "Samsung", "33333333", "M393A2G40DB0-CPB    ", true),
		dimmRecord("P1-DIMMA2", "P0_Node0_Channel0_Dimm1", 0, 0x1a, 0, "", "", "", false),
		ipmiRecord(),
	)
	d.cpus("GenuineIntel", "Intel(R) Xeon(R) CPU E5-2620 v4 @ 2.10GHz", "aes avx avx2 sse4_2 vmx lm", 1, 8, 2, 15*gib)
	ahci := d.pci("0000:00:1f.2", "0106", "8086:8d02", "ahci")
	dom := ataIdentity("SuperMicro SSD", "SMC0515D95018C420123", "SOB20R", 0)
	d.disk(ahci+"/ata1/host1/target1:0:0/1:0:0:0", "sda", 63_350_767_616, 512, false, "device/vendor", "ATA     ", "device/model", "SuperMicro SSD  ", "device/rev", "20R ",
		"device/vpd_pg89", ataPage(dom), "device/wwid", "t10.ATA     SuperMicro SSD                          SMC0515D95018C420123\n")
	d.ata("sda", dom, true, attribute{9, 100, 0, 20000}, attribute{194, 60, 0, 40})
	hba := d.pci("0000:02:00.0", "0107", "1000:0097", "mpt3sas")
	for i := range 2 {
		name := "sd" + string(rune('b'+i))
		id := ataIdentity("ST4000NM0035-1V4107", fmt.Sprintf("ZC10000%d", i), "TN03", 0x5000c500a0000000+uint64(i))
		d.disk(fmt.Sprintf("%s/host0/port-0:%d/end_device-0:%d/target0:0:%d/0:0:%d:0", hba, i, i, i, i), name, 4_000_787_030_016, 512, true,
			"device/vendor", "ATA     ", "device/model", "ST4000NM0035-1V4", "device/rev", "TN03", "device/vpd_pg89", ataPage(id),
			"device/wwid", fmt.Sprintf("naa.5000c500a000000%d\n", i))
		if i == 0 {
			d.ata(name, id, true, attribute{5, 100, 10, 0}, attribute{9, 80, 0, 17000}, attribute{194, 30, 0, 31}, attribute{199, 200, 0, 4})
		} else {
			d.ata(name, id, false, attribute{5, 3, 10, 4088}, attribute{9, 60, 0, 41000}, attribute{194, 30, 0, 44}, attribute{197, 90, 0, 16}, attribute{198, 90, 0, 8})
		}
	}
	for i := range 2 {
		port := d.pci(fmt.Sprintf("0000:06:00.%d", i), "0200", "8086:1521", "igb")
		d.nic(port, fmt.Sprintf("eth%d", i), fmt.Sprintf("0c:c4:7a:00:00:%02x", i+1), 1000*(1-i))
		d.answer(fmt.Sprintf("eth%d", i), "ethtool-drvinfo", driverInfo("igb", "1.63, 0x800009fa"))
	}
	d.pci("0000:08:00.0", "0300", "1a03:2000", "ast")
}

// smallDesktop: one SATA SSD, a USB stick, an eMMC, one NIC whose address was changed,
// Secure Boot in setup mode, a TPM 1.2.
func smallDesktop(d *dump) {
	d.tables(3, 4,
		biosRecord("Intel Corp.", "FNCML357.0061", "11/01/2021"),
		systemRecord("Intel(R) Client Systems", "NUC10i5FNH", "G6AB1234", "55667788334411220f0e0d0c0b0a0908", "BXNUC10i5FNH"),
		boardRecord("Intel Corporation", "NUC10i5FNB", "GEFN01234567", true),
		chassisRecord("Intel Corporation", 0x23, "", "", 0),
		cpuRecord("U3E1", "Intel(R) Corporation", "Intel(R) Core(TM) i5-10210U CPU @ 1.60GHz", 4200, 4, 8),
		dimmRecord("SODIMM1", "BANK 0", 8<<10, 0x1a, 2666, "859B", "E1234567", "CT8G4SFRA266.M8FRS", false),
		dimmRecord("SODIMM2", "BANK 2", 0, 0, 0, "", "", "", false),
	)
	d.cpus("GenuineIntel", "Intel(R) Core(TM) i5-10210U CPU @ 1.60GHz", "aes avx avx2 sse4_2 vmx lm", 1, 4, 2, 7*gib)
	d.efi(0, 1, "UEFI PXEv4", "ubuntu")
	d.files(tpmDir, "caps", "Manufacturer: 0x49465800\nTCG version: 1.2\nFirmware version: 6.40")
	d.pci("0000:00:02.0", "0300", "8086:9b41", "i915")
	ahci := d.pci("0000:00:17.0", "0106", "8086:02d3", "ahci")
	id := ataIdentity("Samsung SSD 860 EVO 500GB", "S3Z2NB0K000001X", "RVT03B6Q", 0x5002538e40000001)
	d.disk(ahci+"/ata3/host2/target2:0:0/2:0:0:0", "sda", 500_107_862_016, 512, false, "device/vendor", "ATA     ", "device/model", "Samsung SSD 860 ", "device/rev", "3B6Q",
		"device/vpd_pg89", ataPage(id), "device/wwid", "naa.5002538e40000001\n")
	d.ata("sda", id, true, attribute{5, 100, 10, 0}, attribute{9, 99, 0, 0x0000_0000_2710}, attribute{194, 67, 0, 33})
	usb := d.pci("0000:00:14.0", "0c03", "8086:02ed", "xhci_hcd")
	d.disk(usb+"/usb1/1-2/1-2:1.0/host4/target4:0:0/4:0:0:0", "sdb", 31_000_000_512, 512, true, "removable", "1", "device/vendor", "SanDisk ", "device/model", "Ultra Fit       ",
		"device/rev", "1.00", "device/vpd_pg80", vpdSerial("4C530001"))
	mmc := d.pci("0000:00:1a.0", "0805", "8086:02c4", "sdhci-pci")
	d.disk(mmc+"/mmc_host/mmc0/mmc0:0001", "mmcblk0", 31_268_536_320, 512, false, "device/name", "DF4032", "device/serial", "0x1a2b3c4d", "device/fwrev", "0x0100000000000000")
	d.disk(mmc+"/mmc_host/mmc0/mmc0:0001", "mmcblk0boot0", 4<<20, 512, false)
	port := d.pci("0000:00:1f.6", "0200", "8086:0d4f", "e1000e")
	d.nic(port, "eno1", "02:00:00:00:00:01", 1000)
	d.answer("eno1", "ethtool-permaddr", permanent([6]byte{0x1c, 0x69, 0x7a, 0, 0, 1}))
	d.answer("eno1", "ethtool-drvinfo", driverInfo("e1000e", "0.6-4"))
	d.answer("eno1", "lldp", lldpFrame(tlv(1, "\x07home-switch"), tlv(2, "\x07\x33"), tlv(3, "\x00\x78")))
}

// gpuSingleSocket: one socket with more than 255 threads counted in SMBIOS's wide
// fields, DDR5 in extended sizes and speeds, four accelerators, 25G ports with virtual
// functions, a bond over them.
func gpuSingleSocket(d *dump) {
	records := [][]byte{
		biosRecord("American Megatrends International, LLC.", "2.1.V2", "05/12/2025"),
		systemRecord("Supermicro", "AS-4125GS-TNRT", "GPU-0001", "33221100554477668899aabbccddeeff", ""),
		boardRecord("Supermicro", "H13DSG-O-CPU", "UM23AS000001", true),
		chassisRecord("Supermicro", 0x01, "C4180AM00001", "", 4),
		cpuRecord("CPU1", "Advanced Micro Devices, Inc.", "AMD EPYC 9755 128-Core Processor", 4100, 128, 256),
	}
	for i := range 12 {
		records = append(records, dimmRecord(fmt.Sprintf("DIMM %c1", 'A'+i), fmt.Sprintf("P0 CHANNEL %c", 'A'+i), 128<<10, 0x22, 6000, "Samsung", fmt.Sprintf("80CE0123%08X", i), "M321RAGA0B20-CWKZJ", true))
	}
	d.tables(3, 5, records...)
	d.cpus("AuthenticAMD", "AMD EPYC 9755 128-Core Processor", "aes avx avx2 avx512f sha_ni sse4_2 svm lm sev sev_es sev_snp", 1, 128, 2, 1500*gib)
	d.efi(1, 0, "UEFI: PXE IPv4 Mellanox", "UEFI OS")
	d.pci("0000:c6:00.0", "0300", "1a03:2000", "ast")
	for i := range 4 {
		d.pci(fmt.Sprintf("0000:%x1:00.0", i*4+1), "0302", "10de:2330", "")
		dev := d.pci(fmt.Sprintf("0000:a%d:00.0", i+1), "0108", "1c5c:2839", "nvme")
		d.nvme(dev, fmt.Sprintf("nvme%d", i), "SK hynix PE8110", fmt.Sprintf("SSB4N00000%d", i), "1.1.0", "nvme.1c5c-5353-504538313130-00000001", 3_840_755_982_336, nvmeLog(0, 35, 0, 100, 0))
	}
	for i := range 2 {
		port := d.pci(fmt.Sprintf("0000:81:00.%d", i), "0200", "15b3:1015", "mlx5_core")
		name := fmt.Sprintf("ens8f%dnp%d", i, i)
		d.nic(port, name, fmt.Sprintf("e8:eb:d3:00:00:%02x", i+1), 25000)
		d.answer(name, "ethtool-drvinfo", driverInfo("mlx5_core", "14.32.1010 (MT_0000000080)"))
		vf := d.pci(fmt.Sprintf("0000:81:01.%d", i), "0200", "15b3:1016", "mlx5_core")
		d.link(vf+"/physfn", port)
		d.nic(vf, fmt.Sprintf("ens8f%dv0", i), fmt.Sprintf("02:11:22:33:44:%02x", i), 25000)
	}
	d.answer("ens8f0np0", "lldp", lldpFrame(tlv(1, "\x05\x01\xc0\x00\x02\x0a"), tlv(2, "\x03\x00\x1c\x73\xff\xff\x01"), tlv(3, "\x00\x14"), tlv(5, "spine\x00\x01\x02"),
		tlv(8, "\x11\x02\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x00")))
	d.answer("ens8f1np1", "lldp", lldpFrame(tlv(2, "\x05wrong order")))
	d.files("sys/devices/virtual/net/bond0", "address", "e8:eb:d3:00:00:01", "type", "1", "carrier", "1", "speed", "50000")
	d.link("sys/class/net/bond0", "sys/devices/virtual/net/bond0")
	d.ipmi("ipmi-06-01", "c1") // a BMC that refuses
}

// storage4Kn: twelve 4096-byte SAS disks behind an expander, one failing; a multipath
// NVMe namespace, an FC and an iSCSI LUN, and devices that are no disks.
func storage4Kn(d *dump) {
	d.tables(3, 1,
		biosRecord("American Megatrends Inc.", "1.5", "01/02/2024"),
		systemRecord("Acme", "JBOD-36", "STOR-36", "ddccbbaa11003322445566778899aabb", ""),
		chassisRecord("Acme", 0x17, "", "", 4),
		cpuRecord("CPU0", "Intel", "Intel(R) Xeon(R) Bronze 3204 CPU @ 1.90GHz", 1900, 6, 6),
		dimmRecord("DIMM0", "", 32767, 0x18, 1600, "802C000000000000", "1", "18KDF51272PDZ-1G6K1", true),
	)
	d.cpus("GenuineIntel", "Intel(R) Xeon(R) Bronze 3204 CPU @ 1.90GHz", "aes avx sse4_2 vmx lm", 1, 6, 1, 31*gib)
	hba := d.pci("0000:3b:00.0", "0107", "1000:00e6", "mpt3sas")
	for i := range 12 {
		name := "sd" + string(rune('a'+i))
		d.disk(fmt.Sprintf("%s/host0/port-0:0/expander-0:0/port-0:0:%d/end_device-0:0:%d/target0:0:%d/0:0:%d:0", hba, i, i, i, i), name, 18_000_207_937_536, 4096, true,
			"device/vendor", "SEAGATE ", "device/model", "ST18000NM004J   ", "device/rev", "E004", "device/wwid", fmt.Sprintf("naa.5000c500d000%04x\n", i),
			"device/vpd_pg80", vpdSerial(fmt.Sprintf("ZR5000%02d0000C2400000", i)))
		d.scsiLog(name, "2f", 0x2f, logParameter(0, 0, 0, 28))
	}
	d.scsiLog("sdl", "2f", 0x2f, logParameter(0, 0x0b, 0x01, 62))
	fc := d.pci("0000:5e:00.0", "0c04", "1077:2261", "qla2xxx")
	d.disk(fc+"/host8/rport-8:0-3/target8:0:1/8:0:1:0", "sdm", 2*tb, 512, false, "device/vendor", "PURE    ", "device/model", "FlashArray      ", "device/rev", "8888", "device/wwid", "naa.624a9370aabbccdd0000000000011011\n")
	d.disk("sys/devices/platform/host9/session1/target9:0:0/9:0:0:1", "sdn", tb, 512, false, "device/vendor", "LIO-ORG ", "device/model", "target0         ", "device/rev", "4.0 ",
		"device/wwid", "naa.6001405aabbccdd00000000000000001\n")
	// A namespace with two paths: the paths are hidden, the subsystem's device is the disk.
	sub := "sys/devices/virtual/nvme-subsystem/nvme-subsys0"
	d.files(sub, "model", "Micron_7450_MTFDKBA480TFR", "serial", "224000000001", "firmware_rev", "E2MU200")
	d.files(sub+"/nvme0n1", "size", "937703088", "queue/logical_block_size", "512", "queue/physical_block_size", "4096", "queue/rotational", "0", "removable", "0", "ro", "0",
		"wwid", "uuid.5c6d0000-0000-4000-8000-000000000001")
	d.link(sub+"/nvme0n1/device", sub)
	d.link("sys/block/nvme0n1", sub+"/nvme0n1")
	path := d.pci("0000:18:00.0", "0108", "1344:51c3", "nvme") + "/nvme/nvme0/nvme0c0n1"
	d.files(path, "size", "937703088", "hidden", "1")
	d.link("sys/block/nvme0c0n1", path)
	d.disk("sys/devices/pci0000:00/0000:00:1f.5/ata9/host20/target20:0:0/20:0:0:0", "sr0", gib, 2048, false)
	d.disk("sys/devices/pci0000:00/0000:00:1f.5/ata9/host20/target20:0:0/20:0:0:1", "sdx", 0, 512, false, "device/model", "card reader, empty")
	for _, name := range []string{"loop0", "ram0", "zram0", "dm-0", "md127", "nbd0"} {
		d.files("sys/devices/virtual/block/"+name, "size", "2048")
		d.link("sys/block/"+name, "sys/devices/virtual/block/"+name)
	}
	port := d.pci("0000:17:00.0", "0200", "8086:1563", "ixgbe")
	d.nic(port, "eth0", "3c:ec:ef:00:00:01", 10000)
	d.files(port+"/net/ib0", "address", "80:00:00:00:fe:80:00:00:00:00:00:00:00:11:22:33:44:55:66:77", "type", "32")
	d.link(port+"/net/ib0/device", port)
	d.link("sys/class/net/ib0", port+"/net/ib0")
	writeImage(d, "dev/sda")
}

// writeImage makes a small disk with an LVM label and an old RAID superblock's remains.
func writeImage(d *dump, name string) {
	b := make([]byte, 2<<20)
	copy(b[512:], "LABELONE")
	copy(b[512+24:], "LVM2 001")
	copy(b[4096:], "\xfc\x4e\x2b\xa9\x01\x00\x00\x00")
	d.file(name, string(b))
}

// arm64Server: /proc/cpuinfo names neither model nor socket; SMBIOS does.
func arm64Server(d *dump) {
	d.file("proc/sys/kernel/arch", "aarch64\n")
	d.file("proc/sys/kernel/osrelease", "6.1.0-56-arm64\n")
	d.tables(3, 3,
		biosRecord("GIGABYTE", "F31n", "09/30/2024"),
		systemRecord("GIGABYTE", "R272-P30-JG", "ARM-80", "efbeadde01000200030405060708090a", "01234567890123456789AB"),
		boardRecord("GIGABYTE", "MP32-AR1-00", "JGA000001", true),
		chassisRecord("GIGABYTE", 0x17, "GJG5N3512A0001", "01234567", 2),
		cpuRecord("CPU 1", "Ampere(R)", "Ampere(R) Altra(R) Processor Q80-30", 3000, 80, 80),
		dimmRecord("DIMM_P0_A0", "Bank 0", 32<<10, 0x1a, 3200, "Micron", "2C1A0001", "36ASF4G72PZ-3G2J3", true),
	)
	text := ""
	for i := range 80 {
		text += fmt.Sprintf("processor\t: %d\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n\n", i)
		d.files(fmt.Sprintf("sys/devices/system/cpu/cpu%d/topology", i), "physical_package_id", "36", "core_id", fmt.Sprint(i))
	}
	d.file("proc/cpuinfo", text)
	d.memory(31 * gib)
	d.efi(0, 0, "UEFI PXEv4 (MAC:D85ED3000001)")
	dev := d.pci("000d:01:00.0", "0108", "1c5c:1327", "nvme")
	d.nvme(dev, "nvme0", "HFS960GDE0X099N", "SJ0000000001", "C6ZZ0000", "eui.ace42e0000000001", 960_197_124_096, nil)
	port := d.pci("000c:01:00.0", "0200", "8086:1521", "igb")
	d.nic(port, "enP12p1s0", "d8:5e:d3:00:00:01", 1000)
}

// virtualNoTables: a virtual machine whose tables can't be read, with what the kernel
// keeps of them; UEFI without efivarfs; virtio disks and NIC.
func virtualNoTables(d *dump) {
	d.files(dmiID, "sys_vendor", "QEMU", "product_name", "Standard PC (Q35 + ICH9, 2009)", "product_version", "pc-q35-7.2", "product_serial", "Not Specified",
		"product_uuid", "6F0E8B6C-0000-4000-8000-000000000001", "bios_vendor", "EFI Development Kit II / OVMF", "bios_version", "2022.11-6", "bios_date", "02/06/2015", "chassis_type", "1")
	d.cpus("GenuineIntel", "QEMU Virtual CPU version 2.5+", "hypervisor lm sse4_2", 1, 2, 1, 2*gib)
	d.dir(efiDir)
	blk := d.pci("0000:00:04.0", "0100", "1af4:1001", "virtio-pci")
	d.disk(blk+"/virtio1", "vda", 10*gib, 512, true, "serial", "root", "device/vendor", "0x1af4")
	port := d.pci("0000:00:03.0", "0200", "1af4:1000", "virtio-pci") + "/virtio0"
	d.dir("sys/bus/virtio/drivers/virtio_net")
	d.link(port+"/driver", "sys/bus/virtio/drivers/virtio_net")
	d.nic(port, "eth0", "52:54:00:00:00:01", -1)
}
