package facts

import (
	"context"
	"net"
	"net/netip"
	"path"
	"strings"
	"sync"
	"time"

	"ingot/inventory"
)

const netDir = "sys/class/net"

// nicWait bounds the questions to one NIC's driver.
const nicWait = 5 * time.Second

// etherType is ARPHRD_ETHER (linux/if_arp.h) in sysfs's type file.
const etherType = 1

// nics lists the interfaces that have hardware of their own.
func (r *reading) nics(ctx context.Context) []inventory.NIC {
	var out []inventory.NIC
	for _, name := range r.names(netDir) {
		if !r.hardware(name) {
			continue
		}
		mac, err := inventory.ParseMAC(r.text(netDir, name, "address"))
		if err != nil {
			r.note("NIC %s: %v", name, err)
			continue
		}
		out = append(out, inventory.NIC{Name: name, MAC: mac})
	}
	var wg sync.WaitGroup
	for i := range out {
		wg.Go(func() { r.nic(ctx, &out[i]) })
	}
	wg.Wait()
	return out
}

// hardware reports whether an interface is a port of the machine: bridges, bonds, VLANs
// and veths have no device, and virtual functions of a port (SR-IOV) aren't cables.
func (t tree) hardware(name string) bool {
	dir := path.Join(netDir, name)
	return t.exists(dir+"/device") && !t.exists(dir+"/device/physfn") && !strings.Contains(t.link(dir), "/devices/virtual/") &&
		t.number(dir, "type") == etherType
}

func (r *reading) nic(ctx context.Context, n *inventory.NIC) {
	dir := path.Join(netDir, n.Name)
	n.Driver = r.base(dir + "/device/driver")
	n.PCIAddress = pciOf(r.link(dir + "/device"))
	n.Link = r.yes(dir, "carrier")
	if speed := r.number(dir, "speed"); n.Link && speed > 0 {
		n.SpeedMbps = int(speed) // -1 when the driver doesn't know
	}
	type answers struct {
		info, permanent []byte
		flag            string
		deaf            bool
	}
	name, driver := n.Name, n.Driver
	a, err := within(ctx, nicWait, func() (answers, error) {
		info, _ := r.ask(name, "ethtool-drvinfo", func() ([]byte, error) { return ethtool(name, ethtoolDriverInfo, driverInfoBytes) })
		permanent, _ := r.ask(name, "ethtool-permaddr", func() ([]byte, error) { return ethtool(name, ethtoolPermanent, permanentBytes) })
		flag, deaf := r.hearsNoLLDP(name, driver)
		return answers{info, permanent, flag, deaf}, nil // not every driver has an answer
	})
	if err != nil {
		r.note("NIC %s: ask the driver: %v", n.Name, err)
	}
	n.Firmware = parseDriverInfo(a.info)
	if mac, ok := parsePermanent(a.permanent); ok {
		n.MAC = mac
	}
	n.Boot = r.opts.BootMAC != "" && n.MAC == r.opts.BootMAC
	n.Addresses = r.addresses(n.Name)
	n.Neighbour = r.neighbour(n.Name)
	if a.deaf && n.Link && n.Neighbour == nil {
		r.note("NIC %s: LLDP neighbour: the NIC's firmware keeps the frames to itself (%s's private flag %s)", n.Name, n.Driver, a.flag)
	}
}

// pciOf finds the PCI function in a device's place: the last one, unless a USB device is
// plugged into it. Virtio devices are below their function.
func pciOf(place string) string {
	found := ""
	for _, part := range strings.Split(place, "/") {
		if pciAddress.MatchString(part) {
			found = part
		}
		if strings.HasPrefix(part, "usb") {
			return ""
		}
	}
	return found
}

// addresses are those the running machine has configured; link-local ones say nothing.
func (r *reading) addresses(name string) []netip.Prefix {
	if !r.live() {
		return nil
	}
	iface, err := net.InterfaceByName(name)
	if err != nil {
		return nil
	}
	list, err := iface.Addrs()
	if err != nil {
		r.note("NIC %s: read addresses: %v", name, err)
		return nil
	}
	var out []netip.Prefix
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil && !p.Addr().IsLinkLocalUnicast() {
			out = append(out, p)
		}
	}
	return out
}

// neighbour is what LLDP told so far; a dump has a frame in ioctl/NAME/lldp.
func (r *reading) neighbour(name string) *inventory.Neighbour {
	if r.live() {
		return r.opts.Neighbours.Get(name)
	}
	frame, err := r.ask(name, "lldp", nil)
	if err != nil {
		return nil
	}
	heard, err := parseLLDP(frame)
	if err != nil {
		r.note("NIC %s: LLDP: %v", name, err)
		return nil
	}
	return &heard.neighbour
}
