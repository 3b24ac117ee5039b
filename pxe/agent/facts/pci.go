package facts

import (
	"fmt"
	"regexp"
	"strings"

	"ingot/inventory"
)

const pciDir = "sys/bus/pci/devices"

// pciAddress is domain, bus, device and function.
var pciAddress = regexp.MustCompile(`^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$`)

// pci lists the functions on the bus, and the display controllers among them.
func (r *reading) pci() ([]inventory.PCIDevice, []inventory.GPU) {
	var devices []inventory.PCIDevice
	var gpus []inventory.GPU
	for _, addr := range r.names(pciDir) {
		if !pciAddress.MatchString(addr) {
			continue
		}
		dir := pciDir + "/" + addr
		d := inventory.PCIDevice{Address: addr, Class: pciID(r.text(dir, "class"), 6), Vendor: pciID(r.text(dir, "vendor"), 4),
			Device: pciID(r.text(dir, "device"), 4), Driver: r.base(dir + "/driver")}
		devices = append(devices, d)
		if strings.HasPrefix(d.Class, "03") {
			gpus = append(gpus, inventory.GPU{Address: addr, Vendor: d.Vendor, Device: d.Device, Name: gpuName(d)})
		}
	}
	return devices, gpus
}

// pciID takes the first four digits of a number that sysfs shows as 0x with the given
// digits; a class has six, of which the last two are the programming interface.
func pciID(s string, digits int) string {
	s = strings.ToLower(strings.TrimPrefix(s, "0x"))
	if len(s) != digits {
		return ""
	}
	return s[:4]
}

// gpuMakers are the vendors of display controllers in servers and virtual machines (PCI
// SIG vendor list).
var gpuMakers = map[string]string{"10de": "NVIDIA", "1002": "AMD", "8086": "Intel", "1a03": "ASPEED", "102b": "Matrox", "1234": "QEMU", "1b36": "QXL",
	"1af4": "virtio", "15ad": "VMware", "1013": "Cirrus Logic", "1414": "Hyper-V", "19e5": "HiSilicon"}

// gpuKinds are the subclasses of class 03 (PCI Code and ID Assignment, 1.4).
var gpuKinds = map[string]string{"0300": "VGA controller", "0301": "XGA controller", "0302": "3D controller", "0380": "display controller"}

func gpuName(d inventory.PCIDevice) string {
	maker, kind := gpuMakers[d.Vendor], gpuKinds[d.Class]
	if maker == "" || kind == "" {
		return ""
	}
	return fmt.Sprintf("%s %s", maker, kind)
}
