package qemu

import (
	"fmt"
	"strconv"
	"strings"
)

// The inherited file descriptors of the QEMU process: listening sockets that
// Start made, so that nobody has to wait for QEMU to make them.
const (
	monitorFD = 3 + iota
	consoleFD
	channelFD
)

// firstNICSlot is the PCI slot of the first network card. It is fixed so that
// UEFI boot options can be written before the firmware has ever run.
const firstNICSlot = 0x10

// args returns QEMU's arguments. fw is empty for BIOS.
func (c Config) args(fw flash) []string {
	a := []string{
		"-name", "guest=" + escape(c.Name) + ",process=qemu:" + escape(c.Name),
		"-no-user-config", "-nodefaults", "-display", "none", "-vga", "std",
		"-accel", string(c.Accelerator), "-cpu", c.cpuModel(),
		"-m", strconv.Itoa(c.MemoryMiB), "-smp", strconv.Itoa(max(c.CPUs, 1)),
		"-rtc", "base=utc", "-device", "virtio-rng-pci",
		"-chardev", fmt.Sprintf("socket,id=qmp,fd=%d,server=on,wait=off", monitorFD),
		"-mon", "chardev=qmp,mode=control",
		"-chardev", fmt.Sprintf("socket,id=console,fd=%d,server=on,wait=off,logfile=%s,logappend=on", consoleFD, consoleLogName),
		"-serial", "chardev:console",
	}
	if c.Paused {
		a = append(a, "-S")
	}
	a = append(a, c.firmwareArgs(fw)...)
	a = append(a, c.smbiosArgs()...)
	order := c.bootIndexes()
	for i, d := range c.Disks {
		a = append(a, d.args(i, order.disk(i))...)
	}
	for i, n := range c.NICs {
		a = append(a, n.args(i, c.Firmware, order.nic(i))...)
	}
	a = append(a, c.mediaArgs(order)...)
	if c.TPM {
		a = append(a, "-chardev", "socket,id=tpm,path="+tpmSocketName,
			"-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-tis,tpmdev=tpm0")
	}
	if c.Channel != "" {
		a = append(a, "-chardev", fmt.Sprintf("socket,id=channel,fd=%d,server=on,wait=off", channelFD),
			"-device", "virtio-serial-pci", "-device", "virtserialport,chardev=channel,name="+escape(c.Channel))
	}
	a = append(a, c.directBootArgs()...)
	return append(a, c.ExtraArgs...)
}

func (c Config) cpuModel() string {
	switch {
	case c.CPUModel != "":
		return c.CPUModel
	case c.Accelerator == AcceleratorKVM:
		return "host"
	}
	return "max,la57=off"
}

func (c Config) firmwareArgs(fw flash) []string {
	if c.Firmware == FirmwareBIOS {
		// graphics=off makes SeaBIOS, and iPXE through it, speak on the serial port too.
		return []string{"-machine", "pc,graphics=off"}
	}
	machine := "q35"
	var a []string
	if c.Firmware == FirmwareSecureBoot {
		machine += ",smm=on"
		a = append(a, "-global", "driver=cfi.pflash01,property=secure,value=on",
			"-global", "ICH9-LPC.disable_s3=1")
	}
	a = append(a, "-machine", machine,
		"-drive", "if=pflash,unit=0,format=raw,readonly=on,file="+escape(fw.code),
		"-drive", "if=pflash,unit=1,format=raw,file="+varsName)
	if c.Firmware == FirmwareUEFIHTTP {
		a = append(a, "-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n",
			"-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n")
	}
	return a
}

func (c Config) smbiosArgs() []string {
	var fields string
	for _, kv := range [][2]string{{"manufacturer", c.SMBIOS.Manufacturer}, {"product", c.SMBIOS.Product}, {"serial", c.SMBIOS.Serial}} {
		if kv[1] != "" {
			fields += "," + kv[0] + "=" + escape(kv[1])
		}
	}
	system := "type=1" + fields
	var a []string
	if c.UUID != "" {
		system += ",uuid=" + c.UUID
		a = append(a, "-uuid", c.UUID)
	}
	a = append(a, "-smbios", system)
	if fields != "" {
		a = append(a, "-smbios", "type=2"+fields)
	}
	if s := c.SMBIOS.Serial; s != "" {
		a = append(a, "-smbios", "type=3,serial="+escape(s))
	}
	return a
}

func (c Config) mediaArgs(order bootIndexes) []string {
	var a []string
	if c.CDROM != "" {
		a = append(a, "-drive", "if=none,id=cdrom,media=cdrom,readonly=on,format=raw,file="+escape(c.CDROM),
			"-device", "ich9-ahci,id=cdrombus", "-device", "ide-cd,bus=cdrombus.0,drive=cdrom"+order.media())
	}
	if c.USBDisk != "" {
		a = append(a, "-drive", "if=none,id=usbdisk,format=raw,file="+escape(c.USBDisk),
			"-device", "qemu-xhci,id=usb", "-device", "usb-storage,bus=usb.0,drive=usbdisk,removable=on"+order.media())
	}
	return a
}

func (c Config) directBootArgs() []string {
	if c.Kernel == "" {
		return nil
	}
	a := []string{"-kernel", c.Kernel}
	if c.Initrd != "" {
		a = append(a, "-initrd", c.Initrd)
	}
	if c.Append != "" {
		a = append(a, "-append", c.Append)
	}
	return a
}

func (d Disk) args(i int, boot string) []string {
	id := "disk" + strconv.Itoa(i)
	drive := fmt.Sprintf("if=none,id=%s,format=%s,discard=unmap,detect-zeroes=off,file=%s", id, escape(d.Format), escape(d.Path))
	if d.IgnoreFlush {
		drive += ",cache=unsafe"
	}
	if d.ReadOnly {
		drive += ",readonly=on"
	}
	return append([]string{"-drive", drive}, d.deviceArgs(id, boot)...)
}

func (d Disk) deviceArgs(id, boot string) []string {
	tail := fmt.Sprintf(",drive=%s,logical_block_size=%d,physical_block_size=%[2]d", id, max(d.SectorBytes, defaultSect))
	serial := ""
	if d.Serial != "" {
		serial = ",serial=" + escape(d.Serial)
	}
	wwn := ""
	if d.WWN != 0 {
		wwn = fmt.Sprintf(",wwn=%#x", d.WWN)
	}
	bus := id + "bus"
	switch d.Bus {
	case BusVirtio:
		return []string{"-device", "virtio-blk-pci" + tail + serial + boot}
	case BusSATA:
		return []string{"-device", "ich9-ahci,id=" + bus, "-device", "ide-hd,bus=" + bus + ".0" + tail + serial + wwn + boot}
	case BusNVMe:
		eui := ""
		if d.WWN != 0 {
			eui = fmt.Sprintf(",eui64=%#x", d.WWN)
		}
		return []string{"-device", "nvme,id=" + bus + serial, "-device", "nvme-ns,bus=" + bus + tail + eui + boot}
	}
	controller := map[Bus]string{BusSCSI: "virtio-scsi-pci", BusMegaSAS: "megasas-gen2", BusPVSCSI: "pvscsi", BusMPTSAS: "mptsas1068"}[d.Bus]
	return []string{"-device", controller + ",id=" + bus, "-device", "scsi-hd,bus=" + bus + ".0" + tail + serial + wwn + boot}
}

func (n NIC) args(i int, fw Firmware, boot string) []string {
	id := "nic" + strconv.Itoa(i)
	backend := "user,id=" + id
	if n.Restrict {
		backend += ",restrict=on"
	}
	var forwards []string
	for f, forward := range n.Forwards {
		stream := fmt.Sprintf("%sforward%d", id, f)
		forwards = append(forwards, "-chardev", fmt.Sprintf("socket,id=%s,reconnect=1,path=%s", stream, escape(forward.Socket)))
		backend += fmt.Sprintf(",guestfwd=tcp:%s:%d-chardev:%s", forward.Address.Addr(), forward.Address.Port(), stream)
	}
	if n.Tap != "" {
		backend = "tap,id=" + id + ",ifname=" + escape(n.Tap) + ",script=no,downscript=no"
	}
	device := map[NICModel]string{NICVirtio: "virtio-net-pci", NICE1000E: "e1000e", NICVMXNET3: "vmxnet3"}[n.Model]
	device += fmt.Sprintf(",netdev=%s,mac=%s,addr=%#x", id, n.MAC, firstNICSlot+i)
	// OVMF has a driver of its own for virtio only: the other cards need the UEFI
	// driver in their ROM to be seen at all.
	if fw.UEFI() && n.Model == NICVirtio {
		device += ",romfile="
	}
	return append(forwards, "-netdev", backend, "-device", device+boot)
}

// escape doubles the commas of a value in QEMU's key=value lists.
func escape(s string) string { return strings.ReplaceAll(s, ",", ",,") }
