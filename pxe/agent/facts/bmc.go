package facts

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"ingot/inventory"
)

// bmcWait bounds the talk with the BMC: a KCS interface takes some milliseconds for a
// command, and a busy BMC a second.
const bmcWait = 15 * time.Second

// The commands that are sent (IPMI 2.0: 20.1, 22.24, 23.2).
const (
	ipmiApp          = 0x06
	ipmiTransport    = 0x0c
	ipmiGetDeviceID  = 0x01
	ipmiChannelInfo  = 0x42
	ipmiLANConfig    = 0x02
	lanIP            = 3
	lanIPSource      = 4
	lanMAC           = 5
	mediumLAN        = 4 // 802.3 LAN, table 6-3
	ipmiLastChannel  = 11
	ipmiInterfaceOff = 4 // offset of the interface type in SMBIOS type 38
)

// bmcInterfaces are the types of DSP0134 7.39.1.
var bmcInterfaces = []string{"unknown", "KCS", "SMIC", "BT", "SSIF"}

// bmc asks the machine's own controller in-band. Nil means that there is none, or none
// that answers; a note tells the two apart.
func (r *reading) bmc(ctx context.Context) *inventory.BMCFacts {
	b, err := within(ctx, bmcWait, r.askBMC)
	if err == nil {
		return b
	}
	rec := r.smbios.first(smbiosIPMI)
	if !errors.Is(err, errNoBMC) {
		r.note("BMC: %v", err)
	} else if rec.data != nil {
		kind := bmcInterfaces[0]
		if n := int(rec.byteAt(ipmiInterfaceOff)); n < len(bmcInterfaces) {
			kind = bmcInterfaces[n]
		}
		r.note("BMC: SMBIOS names a %s interface, and there is no /dev/ipmi0", kind)
	}
	return nil
}

func (r *reading) askBMC() (*inventory.BMCFacts, error) {
	session, err := r.openIPMI()
	if err != nil {
		return nil, err
	}
	defer session.close()
	id, err := session.ask(ipmiApp, ipmiGetDeviceID)
	if err != nil {
		return nil, fmt.Errorf("get device id: %w", err)
	}
	b := &inventory.BMCFacts{Firmware: parseDeviceID(id), Source: "ipmi"}
	for channel := byte(1); channel <= ipmiLastChannel; channel++ {
		info, err := session.ask(ipmiApp, ipmiChannelInfo, channel)
		if errors.Is(err, errNoAnswer) {
			return nil, fmt.Errorf("get channel info: %w", err)
		}
		if err != nil || len(info) < 2 || info[1]&0x7f != mediumLAN {
			continue
		}
		if lan := session.lan(channel); lan.Address.IsValid() {
			lan.Firmware = b.Firmware
			return &lan, nil
		} else if b.MAC == "" {
			b.MAC = lan.MAC
		}
	}
	return b, nil
}

// lan reads the address of one channel; the zero address when it has none.
func (s *ipmiSession) lan(channel byte) inventory.BMCFacts {
	b := inventory.BMCFacts{Source: fmt.Sprintf("ipmi channel %d", channel)}
	if v := s.lanParameter(channel, lanMAC); len(v) == 6 {
		if mac, err := inventory.MACFrom(v); err == nil {
			b.MAC = mac
		}
	}
	if v := s.lanParameter(channel, lanIP); len(v) == 4 {
		if ip, _ := netip.AddrFromSlice(v); !ip.IsUnspecified() {
			b.Address = ip
		}
	}
	if v := s.lanParameter(channel, lanIPSource); len(v) == 1 {
		if name := map[byte]string{1: "static", 2: "DHCP", 3: "BIOS"}[v[0]&0xf]; name != "" {
			b.Source += ", " + name
		}
	}
	return b
}

// lanParameter reads a parameter; the answer has its revision first (23.2).
func (s *ipmiSession) lanParameter(channel, parameter byte) []byte {
	v, err := s.ask(ipmiTransport, ipmiLANConfig, channel, parameter, 0, 0)
	if err != nil || len(v) < 1 {
		return nil
	}
	return v[1:]
}

// parseDeviceID writes the firmware's revision: major in seven bits, minor in BCD (20.1;
// the completion code is already off).
func parseDeviceID(b []byte) string {
	if len(b) < 4 {
		return ""
	}
	return fmt.Sprintf("%d.%02x", b[2]&0x7f, b[3])
}
