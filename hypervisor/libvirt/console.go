package libvirt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	lv "github.com/digitalocean/go-libvirt"

	"ingot/hypervisor"
	"ingot/inventory"
)

// errLeft ends a console whose other side went away.
var errLeft = errors.New("the console was left")

// Console implements hypervisor.Consoler. The bytes go through libvirtd, so it works
// wherever the daemon is reached, and the daemon sees to it that one at a time has the port.
func (d *Driver) Console(ctx context.Context, id string, force bool, joined func() (io.ReadWriter, error)) error {
	f, err := d.find(ctx, id)
	if err != nil {
		return fmt.Errorf("console of machine %s: %w", id, err)
	}
	power, err := d.power(ctx, f.Domain)
	if err == nil && power != hypervisor.On {
		err = fmt.Errorf("it is %s: %w", power, inventory.ErrBusy)
	}
	if err != nil {
		return fmt.Errorf("console of machine %s: %w", id, err)
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	err = d.openConsole(ctx, f.Domain, force, &port{joined: joined, end: end})
	if cause := context.Cause(ctx); errors.Is(cause, errLeft) {
		return nil
	} else if cause != nil {
		err = cause
	}
	return err
}

func (d *Driver) openConsole(ctx context.Context, dom lv.Domain, force bool, p *port) error {
	var flags lv.DomainConsoleFlags
	if force {
		flags = lv.DomainConsoleForce
	}
	err := d.link.stream(ctx, "open console of domain "+dom.Name, func(r *lv.Libvirt) error {
		return r.DomainOpenConsoleBidirectional(dom, nil, p, p, uint32(flags))
	})
	p.leave()
	switch {
	case err == nil || !said(err):
		return err
	case p.rw != nil:
		return fmt.Errorf("the console was taken away: %w", err)
	case said(err, lv.ErrOperationFailed) && !force:
		// 9 stands for many things; before the port was joined it is this one.
		return fmt.Errorf("somebody has the console already: %w (%w)", err, inventory.ErrBusy)
	}
	return err
}

// port is the reader and writer that the binding wants for a stream: it begins with them
// when the daemon has agreed. It deadlocks when its writer fails, so this one doesn't.
type port struct {
	once   sync.Once
	joined func() (io.ReadWriter, error)
	end    context.CancelCauseFunc
	rw     io.ReadWriter
	err    error
}

func (p *port) join() error {
	p.once.Do(func() {
		if p.rw, p.err = p.joined(); p.err != nil {
			p.end(p.err)
		}
	})
	return p.err
}

// leave keeps the port from being joined from now on: the binding does not wait for the one
// that reads.
func (p *port) leave() {
	p.once.Do(func() { p.err = errLeft })
}

// Read implements io.Reader: what the person types. The end of it is the end of all.
func (p *port) Read(b []byte) (int, error) {
	if err := p.join(); err != nil {
		return 0, err
	}
	n, err := p.rw.Read(b[:min(len(b), typedMax)])
	if err != nil {
		p.end(errLeft)
		err = io.ErrClosedPipe
	}
	return n, err
}

// typedMax is what goes to a port at once; libvirtd takes up to 256 KiB in one packet
// (VIR_NET_MESSAGE_LEGACY_PAYLOAD_MAX).
const typedMax = 64 << 10

// Write implements io.Writer: what the machine says.
func (p *port) Write(b []byte) (int, error) {
	if p.join() == nil {
		if _, err := p.rw.Write(b); err != nil {
			p.end(errLeft)
		}
	}
	return len(b), nil
}
