package dhcp

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"ingot/inventory"
)

// packetSocket sends and receives frames on one interface. With protocol 0 it receives
// none.
type packetSocket struct {
	file *os.File
	raw  syscall.RawConn
	addr unix.SockaddrLinklayer
}

func openPacketSocket(index int, protocol uint16) (*packetSocket, error) {
	order := int(binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, protocol)))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, order)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "packet socket")
	address := unix.SockaddrLinklayer{Ifindex: index, Protocol: uint16(order)}
	if err := unix.Bind(fd, &address); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &packetSocket{file, raw, address}, nil
}

// Send writes one frame, waiting while the interface's queue is full.
func (p *packetSocket) Send(frame []byte) error {
	var err error
	ctl := p.raw.Write(func(fd uintptr) bool {
		err = unix.Sendto(int(fd), frame, 0, &p.addr)
		return !errors.Is(err, syscall.EAGAIN)
	})
	return errors.Join(ctl, err)
}

func (p *packetSocket) Close() error { return p.file.Close() }

// clientFilter passes UDP datagrams to port 68 (unfragmented IPv4).
var clientFilter = []bpf.Instruction{
	bpf.LoadAbsolute{Off: 12, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0x0800, SkipTrue: 8},
	bpf.LoadAbsolute{Off: 23, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 17, SkipTrue: 6},
	bpf.LoadAbsolute{Off: 20, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x1fff, SkipTrue: 4},
	bpf.LoadMemShift{Off: 14},
	bpf.LoadIndirect{Off: 16, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: clientPort, SkipTrue: 1},
	bpf.RetConstant{Val: packetBytes},
	bpf.RetConstant{Val: 0},
}

// sniffer hears what servers say to clients: those that have an address of their own
// answer to it, so it is a packet socket that listens, not port 68.
type sniffer struct {
	*packetSocket
	mac inventory.MAC
	buf [packetBytes]byte
}

// OpenSniffer listens on an interface. It needs CAP_NET_RAW. No such interface is
// inventory.ErrNotFound.
func OpenSniffer(ifname string) (Sniffer, error) {
	ifi, err := net.InterfaceByName(ifname)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %v: %w", ifname, err, inventory.ErrNotFound)
	}
	mac, err := inventory.MACFrom(ifi.HardwareAddr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", ifname, err)
	}
	sock, err := openPacketSocket(ifi.Index, unix.ETH_P_IP)
	if err != nil {
		return nil, fmt.Errorf("open packet socket on %s: %w", ifname, err)
	}
	if err := sock.filter(clientFilter); err != nil {
		return nil, errors.Join(fmt.Errorf("filter packets on %s: %w", ifname, err), sock.Close())
	}
	return &sniffer{packetSocket: sock, mac: mac}, nil
}

func (p *packetSocket) filter(program []bpf.Instruction) error {
	raw, err := bpf.Assemble(program)
	if err != nil {
		return err
	}
	code := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		code[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	ctl := p.raw.Control(func(fd uintptr) {
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]})
	})
	return errors.Join(ctl, err)
}

func (s *sniffer) Discover() error {
	var xid [4]byte
	_, _ = rand.Read(xid[:]) // never returns an error
	return s.Send(discoverFrame(s.mac, xid))
}

func (s *sniffer) Next() (OtherServer, error) {
	for {
		n, err := s.file.Read(s.buf[:])
		if errors.Is(err, os.ErrClosed) {
			return OtherServer{}, net.ErrClosed
		}
		if errors.Is(err, syscall.ENETDOWN) {
			continue // the link went down; the socket goes on when it is up again
		}
		if err != nil {
			return OtherServer{}, fmt.Errorf("read frame: %w", err)
		}
		if o, ok := parseReplyFrame(s.buf[:n]); ok && o.MAC != s.mac {
			return o, nil
		}
	}
}
