package dhcp

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// headerFileMax is what the header's file field holds with its final zero (RFC 2131
// section 2); longer names go into option 67 alone.
const headerFileMax = 127

// Sub-options of option 43 in the PXE class (PXE 2.1 table 2-1).
const pxeDiscoveryControl = 6

// pxeUseFile is the discovery control bit 3: take the boot file name from this offer,
// without multicast, broadcast or a menu.
const pxeUseFile = 8

// ipxeNoProxy is sub-option 176 of option 175: iPXE need not wait for ProxyDHCP offers.
const ipxeNoProxy = 176

// addBoot writes an offer into a reply, as the client's firmware reads it. It reports
// why nothing was written, or "".
func addBoot(reply *dhcpv4.DHCPv4, r *request, o Offer, server netip.Addr) string {
	file, why := bootFile(r.boot, o)
	if why != "" {
		return why
	}
	next := o.Server
	if !next.IsValid() {
		next = server
	}
	reply.ServerIPAddr = next.AsSlice()
	// U-Boot reads only the header, UEFI prefers option 67: both, where it fits.
	if len(file) <= headerFileMax {
		reply.BootFileName = file
	}
	reply.Options[dhcpv4.OptionBootfileName.Code()] = []byte(file)
	reply.Options[dhcpv4.OptionTFTPServerName.Code()] = []byte(next.String())
	if o.RootPath != "" {
		reply.Options[dhcpv4.OptionRootPath.Code()] = []byte(o.RootPath)
	}
	if r.boot.IsIPXE && !r.boot.Proxy {
		reply.Options[optionIPXE.Code()] = []byte{ipxeNoProxy, 1, 1}
	}
	return ""
}

// bootFile is what the client is to load. iPXE and UEFI HTTP boot get a URL or
// nothing: iPXE that is given iPXE again would go round for ever.
func bootFile(c Client, o Offer) (file, why string) {
	switch {
	case o.Silence != "":
		return "", o.Silence
	case (c.IsIPXE || c.IsHTTP) && o.URL == "":
		return "", "no URL for a client that reads nothing else"
	case c.IsIPXE || c.IsHTTP:
		return o.URL, ""
	case o.File != "":
		return o.File, ""
	case o.URL != "":
		return o.URL, ""
	}
	return "", "nothing to boot"
}

// addPXE writes what marks a reply as one for network boots: the class, the machine
// UUID, and for BIOS the order to take the file from this reply.
//
// UEFI gets no option 43 (see the package's decisions); HTTP boot drops a reply whose
// class is not HTTPClient.
func addPXE(reply *dhcpv4.DHCPv4, r *request) {
	if uuid := r.msg.Options.Get(optionMachineUUID); len(uuid) > 0 {
		reply.Options[optionMachineUUID.Code()] = uuid
	}
	if !r.speaksPXE() {
		return
	}
	class := "PXEClient"
	if r.boot.Class[0] == 'H' {
		class = "HTTPClient"
	}
	reply.Options[dhcpv4.OptionClassIdentifier.Code()] = []byte(class)
	if class == "PXEClient" && r.boot.Arch.IsBIOS() && !r.boot.IsIPXE {
		reply.Options[dhcpv4.OptionVendorSpecificInformation.Code()] = []byte{pxeDiscoveryControl, 1, pxeUseFile, 255}
	}
}

// newReply starts the answer to a request: RFC 2131 table 3, with the client identifier
// echoed (RFC 6842) and option 82 as it came (RFC 3046 section 2.2).
func newReply(r *request, kind dhcpv4.MessageType, serverID netip.Addr) *dhcpv4.DHCPv4 {
	q := r.msg
	reply := &r.reply
	clear(r.options)
	*reply = dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootReply, HWType: q.HWType, TransactionID: q.TransactionID,
		Flags: q.Flags, ClientHWAddr: q.ClientHWAddr, GatewayIPAddr: q.GatewayIPAddr,
		ClientIPAddr: net.IPv4zero, YourIPAddr: net.IPv4zero, ServerIPAddr: net.IPv4zero,
		Options: r.options,
	}
	reply.Options[dhcpv4.OptionDHCPMessageType.Code()] = []byte{byte(kind)}
	reply.Options[dhcpv4.OptionServerIdentifier.Code()] = serverID.AsSlice()
	for _, code := range []dhcpv4.OptionCode{dhcpv4.OptionClientIdentifier, dhcpv4.OptionRelayAgentInformation} {
		if value := q.Options.Get(code); value != nil {
			reply.Options[code.Code()] = value
		}
	}
	return reply
}

func seconds32(s uint32) []byte { return binary.BigEndian.AppendUint32(nil, s) }
