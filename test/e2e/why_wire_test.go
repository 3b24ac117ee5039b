package e2e

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/insomniacslk/dhcp/iana"
	"golang.org/x/sys/unix"
)

// pxe is what a network boot's DHCP packets carry; class is PXEClient or HTTPClient.
func pxe(class string, arch iana.Arch) dhcpv4.Modifier {
	return func(d *dhcpv4.DHCPv4) {
		d.UpdateOption(dhcpv4.OptClassIdentifier(fmt.Sprintf("%s:Arch:%05d:UNDI:003016", class, arch)))
		d.UpdateOption(dhcpv4.OptClientArch(arch))
	}
}

var (
	pxeBIOS = pxe("PXEClient", iana.INTEL_X86PC)
	pxeUEFI = pxe("PXEClient", iana.EFI_X86_64)
)

// dhcp is one machine's DHCP client, over raw frames as firmware sends them.
type dhcp struct {
	m    *played
	conn net.PacketConn
}

func (m *played) dhcp() (*dhcp, error) {
	d := &dhcp{m: m}
	err := inside(m.b.namespace, func() (err error) {
		d.conn, err = nclient4.NewRawUDPConn("eth0", dhcpv4.ClientPort)
		return err
	})
	if err == nil {
		m.t.Cleanup(func() { _ = d.conn.Close() }) // nothing more is sent
	}
	return d, err
}

// packet makes a request of the machine's.
func (d *dhcp) packet(kind dhcpv4.MessageType, mods ...dhcpv4.Modifier) (*dhcpv4.DHCPv4, error) {
	all := append([]dhcpv4.Modifier{dhcpv4.WithHwAddr(d.m.mac.Bytes()), dhcpv4.WithMessageType(kind), dhcpv4.WithBroadcast(true)}, mods...)
	return dhcpv4.New(all...)
}

func (d *dhcp) send(p *dhcpv4.DHCPv4) error {
	_, err := d.conn.WriteTo(p.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: dhcpv4.ServerPort})
	return err
}

// ask sends a packet up to five times until it is answered by Ingot.
func (d *dhcp) ask(p *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, error) {
	for range 5 {
		if err := d.send(p); err != nil {
			return nil, err
		}
		if reply, err := d.answer(p.TransactionID, 2*time.Second); err == nil {
			return reply, nil
		} else if !errors.Is(err, unix.EAGAIN) && !isTimeout(err) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%s of %s is not answered", p.MessageType(), d.m.mac)
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

func (d *dhcp) answer(xid dhcpv4.TransactionID, limit time.Duration) (*dhcpv4.DHCPv4, error) {
	if err := d.conn.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return nil, err
	}
	buf := make([]byte, 2048)
	for {
		n, _, err := d.conn.ReadFrom(buf)
		if err != nil {
			return nil, err
		}
		reply, err := dhcpv4.FromBytes(buf[:n])
		if err == nil && reply.TransactionID == xid && reply.OpCode == dhcpv4.OpcodeBootReply && reply.ServerIdentifier().Equal(net.ParseIP(server)) {
			return reply, nil
		}
	}
}

// discover sends n DISCOVERs, each answered or not within a moment.
func (d *dhcp) discover(n int, mods ...dhcpv4.Modifier) error {
	for range n {
		p, err := d.packet(dhcpv4.MessageTypeDiscover, mods...)
		if err != nil {
			return err
		}
		if err := d.send(p); err != nil {
			return err
		}
		if _, err := d.answer(p.TransactionID, time.Second); err != nil && !isTimeout(err) {
			return err
		}
	}
	return nil
}

// offered sends a DISCOVER until Ingot offers something.
func (d *dhcp) offered(mods ...dhcpv4.Modifier) (*dhcpv4.DHCPv4, error) {
	p, err := d.packet(dhcpv4.MessageTypeDiscover, mods...)
	if err != nil {
		return nil, err
	}
	return d.ask(p)
}

// bound goes through the exchange of four packets.
func (d *dhcp) bound(mods ...dhcpv4.Modifier) (*dhcpv4.DHCPv4, error) {
	offer, err := d.offered(mods...)
	if err != nil {
		return nil, err
	}
	p, err := d.packet(dhcpv4.MessageTypeRequest, append(mods, dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(offer.YourIPAddr)),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(offer.ServerIdentifier())))...)
	if err != nil {
		return nil, err
	}
	ack, err := d.ask(p)
	if err == nil && ack.MessageType() != dhcpv4.MessageTypeAck {
		err = fmt.Errorf("answer is %s, want ACK", ack.MessageType())
	}
	return ack, err
}

// never is a block that no transfer reaches.
const never = 1 << 30

// tftp fetches a file under the machine's folder in blocks of 1468 bytes, and goes silent
// after it acknowledged the block stop. Its socket stays open, as a machine's that hangs.
func (m *played) tftp(name string, stop int) error {
	conn, err := m.tftpSocket()
	if err != nil {
		return err
	}
	to, err := m.tftpAsk(conn, name)
	if err != nil {
		return err
	}
	buf, block := make([]byte, 2048), uint16(0)
	for {
		if _, err := conn.WriteTo(binary.BigEndian.AppendUint16([]byte{0, 4}, block), to); err != nil {
			return err
		}
		if int(block) == stop {
			return nil
		}
		n, _, err := conn.ReadFrom(buf)
		if err != nil {
			return fmt.Errorf("block %d of %s: %w", block+1, name, err)
		}
		if n < 4 || buf[1] != 3 || binary.BigEndian.Uint16(buf[2:]) != block+1 {
			continue
		}
		block++
		if n < 4+1468 {
			_, err := conn.WriteTo(binary.BigEndian.AppendUint16([]byte{0, 4}, block), to)
			return err
		}
	}
}

// tftpProbe asks for a file's size and aborts, as UEFI does before it fetches it.
func (m *played) tftpProbe(name string) error {
	conn, err := m.tftpSocket()
	if err != nil {
		return err
	}
	to, err := m.tftpAsk(conn, name)
	if err != nil {
		return err
	}
	_, err = conn.WriteTo(append([]byte{0, 5, 0, 8}, "size is known\x00"...), to)
	return err
}

func (m *played) tftpSocket() (conn *net.UDPConn, err error) {
	err = inside(m.b.namespace, func() error {
		conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: m.ip.AsSlice()})
		return err
	})
	if err != nil {
		return nil, err
	}
	m.t.Cleanup(func() { _ = conn.Close() }) // nothing more is sent
	return conn, conn.SetReadDeadline(time.Now().Add(20 * time.Second))
}

// errTFTP is the server's error packet.
var errTFTP = errors.New("TFTP error")

// tftpAsk sends a read request and waits for the options.
func (m *played) tftpAsk(conn *net.UDPConn, name string) (net.Addr, error) {
	name = m.mac.Hyphened() + "/" + name
	ask := append([]byte{0, 1}, bytes.Join([][]byte{[]byte(name), []byte("octet"), []byte("tsize"), []byte("0"), []byte("blksize"), []byte("1468"), nil}, []byte{0})...)
	if _, err := conn.WriteToUDPAddrPort(ask, netip.MustParseAddrPort(server+":69")); err != nil {
		return nil, err
	}
	buf := make([]byte, 2048)
	n, from, err := conn.ReadFrom(buf)
	switch {
	case err != nil:
		return nil, fmt.Errorf("ask for %s: %w", name, err)
	case n > 4 && buf[1] == 5:
		return nil, fmt.Errorf("%w: %s", errTFTP, buf[4:n-1])
	case buf[1] != 6:
		return nil, fmt.Errorf("ask for %s: packet of type %d, want 6 (OACK)", name, buf[1])
	}
	return from, nil
}

// http fetches a path and reads at most limit bytes of it before it hangs up.
func (m *played) http(path string, limit int64) error {
	small := func(d *net.Dialer) {
		d.Control = func(_, _ string, c syscall.RawConn) error {
			var err error
			return errors.Join(c.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 64<<10) // what is in flight counts as sent
			}), err)
		}
	}
	conn, err := m.dial(m.t.Context(), "tcp4", server+":7480", small)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, server); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return fmt.Errorf("fetch %s: %w", path, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("fetch %s: %s", path, resp.Status)
	}
	if _, err := io.CopyN(io.Discard, resp.Body, limit); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("fetch %s: %w", path, err)
	}
	return nil
}

// boot is the path of one of the machine's boot files by HTTP.
func (m *played) boot(name string) string { return "/boot/" + m.mac.Hyphened() + "/" + name }
