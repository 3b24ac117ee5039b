package dhcp

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
)

func TestAppendMessage(t *testing.T) {
	full := dhcpv4.DHCPv4{OpCode: dhcpv4.OpcodeBootReply, HWType: 1, HopCount: 2, TransactionID: dhcpv4.TransactionID{1, 2, 3, 4}, NumSeconds: 5, Flags: 0x8000,
		ClientIPAddr: net.IPv4(10, 0, 0, 1), YourIPAddr: net.IP{10, 0, 0, 2}, ServerIPAddr: net.IPv4zero, GatewayIPAddr: net.IPv4(10, 0, 0, 4),
		ClientHWAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1}, ServerHostName: "server", BootFileName: "loader.efi",
		Options: dhcpv4.Options{53: {5}, 82: {1, 2, 'a', 'b'}, 54: {10, 0, 0, 1}, 224: bytes.Repeat([]byte{7}, 300), 12: {}, 121: bytes.Repeat([]byte{9}, 510)}}
	long := full
	long.ServerHostName, long.BootFileName = strings.Repeat("s", 80), strings.Repeat("f", 200)
	long.ClientHWAddr = net.HardwareAddr(bytes.Repeat([]byte{3}, 16))
	for name, m := range map[string]dhcpv4.DHCPv4{"empty": {}, "full": full, "too long": long} {
		t.Run(name, func(t *testing.T) {
			got := appendMessage([]byte("before"), &m)
			if diff := cmp.Diff(append([]byte("before"), m.ToBytes()...), got); diff != "" {
				t.Errorf("not as the library has it (-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzAppendMessage: what was parsed is written as the library writes it.
func FuzzAppendMessage(f *testing.F) {
	f.Add(packet{kind: kindDiscover}.bytes())
	f.Add(packet{kind: kindRequest, wanted: "10.0.0.1", server: "10.0.0.1", giaddr: "10.0.0.2"}.bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := dhcpv4.FromBytes(data)
		if err != nil {
			return
		}
		if got, want := appendMessage(nil, m), m.ToBytes(); !bytes.Equal(got, want) {
			t.Errorf("%x\nwant %x", got, want)
		}
	})
}
