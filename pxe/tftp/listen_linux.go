package tftp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"ingot/inventory"
)

// Listen opens a UDP socket for requests, bound to an interface unless ifname is empty.
// A port that is taken is inventory.ErrBusy.
func Listen(ifname string, address netip.AddrPort) (*net.UDPConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		ctl := c.Control(func(fd uintptr) { err = setOptions(int(fd), ifname) })
		return errors.Join(ctl, err)
	}}
	pc, err := lc.ListenPacket(context.Background(), "udp4", address.String())
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen on UDP %s: another program has it; `ss -ulpn sport = :%d` names it, "+
			"stop it there: %w", address, address.Port(), inventory.ErrBusy)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on UDP %s: %w", address, err)
	}
	return pc.(*net.UDPConn), nil
}

func setOptions(fd int, ifname string) error {
	// The library asks for this too, but later: a request that came before would get
	// blocks of 512 bytes, because it has no interface to ask for its MTU.
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1); err != nil {
		return fmt.Errorf("ask for packet destination: %w", err)
	}
	if ifname == "" {
		return nil
	}
	if err := unix.BindToDevice(fd, ifname); err != nil {
		return fmt.Errorf("bind to interface %s: %w", ifname, err)
	}
	return nil
}
