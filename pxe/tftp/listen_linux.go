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
		if ifname == "" {
			return nil
		}
		var err error
		ctl := c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), ifname) })
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
