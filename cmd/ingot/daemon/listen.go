package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"ingot/inventory"
)

// bindTo makes a socket belong to an interface, so that Ingot lives beside other
// servers on other interfaces of the same host.
func bindTo(iface string) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var serr error
		err := c.Control(func(fd uintptr) {
			serr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
			if serr == nil && iface != "" {
				serr = unix.BindToDevice(int(fd), iface)
			}
		})
		return errors.Join(err, serr)
	}
}

// listen opens a TCP listener. A taken port is ErrBusy and names who has it.
func listen(ctx context.Context, iface, address string) (net.Listener, error) {
	lc := net.ListenConfig{Control: bindTo(iface)}
	l, err := lc.Listen(ctx, "tcp4", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen on %s: taken by %s; stop it or give ingot another port: %w", address, portOwner("tcp", address), inventory.ErrBusy)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return l, nil
}

// listenEach opens the same port on every interface; on loopback when there is none.
func listenEach(ctx context.Context, interfaces []string, port int) ([]net.Listener, error) {
	if len(interfaces) == 0 {
		interfaces = []string{"lo"}
	}
	var out []net.Listener
	for _, iface := range interfaces {
		l, err := listen(ctx, iface, portText(port))
		if err != nil {
			for _, open := range out {
				err = errors.Join(err, open.Close())
			}
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}

func portText(port int) string { return ":" + strconv.Itoa(port) }

// listeners are the server's own ports, but for those of booting.
type listeners struct {
	admin   net.Listener
	agents  []net.Listener
	console []net.PacketConn
}

func (d *Daemon) listen(ctx context.Context) (open listeners, err error) {
	if open.admin, err = listen(ctx, "", d.cfg.Admin.Listen); err != nil {
		return open, err
	}
	if open.agents, err = listenEach(ctx, d.cfg.Interfaces, d.cfg.Machine.TLSPort); err != nil {
		return open, errors.Join(err, open.admin.Close())
	}
	open.console, err = listenNetconsole(ctx, d.cfg.Interfaces, d.cfg.Machine.NetconsolePort)
	return open, err
}
