package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"ingot/inventory"
	"ingot/pxe/agentapi"
)

// listenNetconsole opens the UDP port for kernel messages on every interface.
func listenNetconsole(ctx context.Context, interfaces []string, port int) ([]net.PacketConn, error) {
	if port == 0 {
		return nil, nil
	}
	var out []net.PacketConn
	for _, iface := range interfaces {
		lc := net.ListenConfig{Control: bindTo(iface)}
		c, err := lc.ListenPacket(ctx, "udp4", portText(port))
		if err != nil {
			return nil, fmt.Errorf("listen for kernel messages on UDP %d: %w", port, err)
		}
		out = append(out, c)
	}
	return out, nil
}

// receiveConsole appends kernel messages to the log of the machine that has the address
// they come from, and notes a panic.
func (d *Daemon) receiveConsole(ctx context.Context, c net.PacketConn) error {
	stop := context.AfterFunc(ctx, func() { _ = c.Close() }) // unblocks the read
	defer stop()
	buf := make([]byte, 2048)
	for {
		n, from, err := c.ReadFrom(buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("receive kernel messages: %w", err)
		}
		ap, err := netip.ParseAddrPort(from.String())
		if err != nil {
			continue
		}
		if err := d.consoleText(ctx, ap.Addr().Unmap(), buf[:n]); err != nil && ctx.Err() == nil {
			d.log.Warn("kernel message", "from", from, "err", err)
		}
	}
}

func (d *Daemon) consoleText(ctx context.Context, from netip.Addr, text []byte) error {
	id, ok := d.table.AgentAt(from)
	if !ok {
		return nil
	}
	err := d.kernel.hold(id, text)
	line, died := agentapi.PanicLine(text)
	if !died {
		return err
	}
	return errors.Join(err, d.kernel.release(id, 0), d.store.Update(ctx, func(x inventory.Tx) error { return d.panicked(ctx, x, id, line) }))
}

// panicked notes the first sign of a panic: the lines after it say less.
func (d *Daemon) panicked(ctx context.Context, x inventory.Tx, id, line string) error {
	m, err := x.Machine(ctx, id)
	if err != nil {
		return err
	}
	last, err := x.Events(ctx, inventory.EventQuery{Machine: id, Kinds: []inventory.EventKind{inventory.AgentPanic{}.Kind()}, Limit: 1})
	if err != nil || m.Status.Agent == nil || len(last) > 0 && last[0].Time.After(m.Status.Agent.Since) {
		return err
	}
	e, err := inventory.NewEvent(m, d.now(), inventory.AgentPanic{Line: line})
	if err != nil {
		return err
	}
	_, err = x.AddEvent(ctx, e)
	return err
}
