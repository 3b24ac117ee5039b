package dhcp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"ingot/inventory"
)

// receiveBufferBytes rides out a flood while the workers are busy.
const receiveBufferBytes = 4 << 20

// Open opens the sockets of an interface: UDP 67 and 4011, bound to it, and a packet
// socket. It needs CAP_NET_RAW and CAP_NET_BIND_SERVICE. A port that is taken is
// inventory.ErrBusy; no such interface is inventory.ErrNotFound.
func Open(name string) (*Link, error) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("open interface %s: %v: %w", name, err, inventory.ErrNotFound)
	}
	mac, err := inventory.MACFrom(ifi.HardwareAddr)
	if err != nil {
		return nil, fmt.Errorf("open interface %s: %w", name, err)
	}
	l := &Link{Name: name, MAC: mac, MTU: ifi.MTU}
	l.refresh = l.readAddrs
	if err := l.refresh(); err != nil {
		return nil, err
	}
	if err := l.open(ifi.Index); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// readAddrs reads the interface's addresses.
func (l *Link) readAddrs() error {
	ifi, err := net.InterfaceByName(l.Name)
	if err != nil {
		return fmt.Errorf("read interface %s: %w", l.Name, err)
	}
	found, err := ifi.Addrs()
	if err != nil {
		return fmt.Errorf("read addresses of %s: %w", l.Name, err)
	}
	var addrs []netip.Prefix
	for _, a := range found {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			addrs = append(addrs, p)
		}
	}
	l.SetAddrs(addrs)
	return nil
}

func (l *Link) open(index int) error {
	if err := l.openDHCP(index); err != nil {
		return portError(l.Name, serverPort, err)
	}
	pxe, err := listenUDP(l.Name, pxePort, true)
	if err != nil {
		return portError(l.Name, pxePort, err)
	}
	l.PXE = pxe
	l.Frames, err = openPacketSocket(index, 0)
	if err != nil {
		return fmt.Errorf("open packet socket on %s: %w", l.Name, err)
	}
	l.Sniffer, err = OpenSniffer(l.Name)
	return err
}

// openDHCP opens port 67: alone, if nobody has it. Then it is shared: dnsmasq, also
// libvirt's, binds the port for all interfaces before it binds it to its own, and must be
// able to start beside us. Who has the port on this very interface keeps it.
func (l *Link) openDHCP(index int) error {
	dhcp, err := listenUDP(l.Name, serverPort, false)
	if errors.Is(err, syscall.EADDRINUSE) {
		taken, terr := takenOn(index, serverPort)
		if terr != nil || taken {
			return errors.Join(err, terr)
		}
		l.Shared = "another program of this host listens on UDP 67 for all interfaces"
		dhcp, err = listenUDP(l.Name, serverPort, true)
	}
	if err != nil {
		return err
	}
	l.DHCP = dhcp
	return dhcp.share()
}

// takenOn reports whether a socket is bound to a UDP port of an interface.
func takenOn(index, port int) (bool, error) {
	sockets, err := netlink.SocketDiagUDP(unix.AF_INET)
	if err != nil {
		return false, fmt.Errorf("list UDP sockets: %w", err)
	}
	return slices.ContainsFunc(sockets, func(s *netlink.Socket) bool {
		return int(s.ID.SourcePort) == port && int(s.ID.Interface) == index
	}), nil
}

func portError(name string, port int, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("listen on UDP port %d of %s: another program has it; `ss -ulpn sport = :%d` names it, "+
			"stop it there or bind it to its own interface: %w", port, name, port, inventory.ErrBusy)
	}
	return fmt.Errorf("listen on UDP port %d of %s: %w", port, name, err)
}

// udpConn is a UDP socket that tells the destination of what it receives and chooses
// the source of what it sends (IP_PKTINFO).
type udpConn struct {
	*net.UDPConn
}

func (c *udpConn) Stop() error { return c.SetReadDeadline(time.Unix(1, 0)) }

// listenUDP opens a port on one interface. reuse shares the port with programs that
// share it too, such as a DHCP server that is bound to no interface.
func listenUDP(ifname string, port int, reuse bool) (*udpConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		ctl := c.Control(func(fd uintptr) { err = setOptions(int(fd), ifname, reuse) })
		return errors.Join(ctl, err)
	}}
	pc, err := lc.ListenPacket(context.Background(), "udp4", fmt.Sprintf("0.0.0.0:%d", port))
	if err != nil {
		return nil, err
	}
	conn := pc.(*net.UDPConn)
	if err := conn.SetReadBuffer(receiveBufferBytes); err != nil {
		return nil, errors.Join(fmt.Errorf("set receive buffer: %w", err), conn.Close())
	}
	return &udpConn{conn}, nil
}

func setOptions(fd int, ifname string, reuse bool) error {
	if err := unix.BindToDevice(fd, ifname); err != nil {
		return fmt.Errorf("bind to interface %s: %w", ifname, err)
	}
	if reuse {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return fmt.Errorf("share port: %w", err)
		}
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1); err != nil {
		return fmt.Errorf("ask for packet destination: %w", err)
	}
	return nil
}

// share lets others bind the port too, which say that they share it.
func (c *udpConn) share() error {
	raw, err := c.SyscallConn()
	if err != nil {
		return fmt.Errorf("share port: %w", err)
	}
	var serr error
	err = raw.Control(func(fd uintptr) { serr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) })
	if err = errors.Join(err, serr); err != nil {
		return fmt.Errorf("share port: %w", err)
	}
	return nil
}

// pktinfoBytes is the size of an IP_PKTINFO control message (ip(7)): header, interface
// index, local address, destination.
const pktinfoBytes = unix.SizeofCmsghdr + 12

func (c *udpConn) Read(buf []byte) (int, netip.AddrPort, netip.Addr, error) {
	var oob [64]byte
	n, oobn, flags, source, err := c.ReadMsgUDPAddrPort(buf, oob[:])
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = net.ErrClosed
	}
	if err != nil {
		return 0, source, netip.Addr{}, err
	}
	if flags&unix.MSG_TRUNC != 0 {
		n = 0
	}
	var dest netip.Addr
	if oobn >= pktinfoBytes {
		dest, _ = netip.AddrFromSlice(oob[unix.SizeofCmsghdr+8 : pktinfoBytes])
	}
	return n, source, dest, nil
}

func (c *udpConn) Write(b []byte, source netip.Addr, dest netip.AddrPort) error {
	var oob [32]byte
	binary.NativeEndian.PutUint64(oob[0:], pktinfoBytes)
	binary.NativeEndian.PutUint32(oob[8:], unix.IPPROTO_IP)
	binary.NativeEndian.PutUint32(oob[12:], unix.IP_PKTINFO)
	copy(oob[unix.SizeofCmsghdr+4:], source.AsSlice())
	_, _, err := c.WriteMsgUDPAddrPort(b, oob[:unix.CmsgSpace(12)], dest)
	return err
}
