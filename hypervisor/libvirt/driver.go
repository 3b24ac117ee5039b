package libvirt

import (
	"context"

	lv "github.com/digitalocean/go-libvirt"

	"ingot/hypervisor"
	"ingot/inventory"
)

// Driver works on one libvirt host for one owner.
type Driver struct {
	config Config
	place  place
	link   *link
	// long is for calls that take long.
	long *lanes
	caps hypervisor.Capabilities
	// kvm says why caps.Accelerated is as it is.
	kvm     string
	version uint64
	// held are the machines and images that a call works on.
	held hypervisor.Turns
}

var (
	_ hypervisor.Driver      = (*Driver)(nil)
	_ hypervisor.Snapshotter = (*Driver)(nil)
	_ hypervisor.Resizer     = (*Driver)(nil)
	_ hypervisor.Consoler    = (*Driver)(nil)
	_ hypervisor.Watcher     = (*Driver)(nil)
	_ hypervisor.Adopter     = (*Driver)(nil)
)

// Open connects to a host and asks what it can do.
func Open(ctx context.Context, c Config) (*Driver, error) {
	c = c.withDefaults()
	if c.Owner == "" {
		return nil, inventory.Invalid("libvirt host %s: no owner", c.URL)
	}
	p, err := parse(c)
	if err != nil {
		return nil, err
	}
	main := newLink(p.dial, p.uri)
	d := &Driver{config: c, place: p, link: main, long: &lanes{main: main}}
	if err := d.learn(ctx); err != nil {
		d.long.close()
		return nil, err
	}
	return d, nil
}

// Capabilities implements hypervisor.Driver.
func (d *Driver) Capabilities() hypervisor.Capabilities { return d.caps }

// Close implements hypervisor.Driver.
func (d *Driver) Close() error {
	d.long.close()
	return nil
}

// uuidOf is the domain UUID of a machine that we made.
func (d *Driver) uuidOf(id string) string { return hypervisor.UUID(d.config.Owner, id) }

// begin holds a machine or image for a call that changes it, and waits for the end of
// changes that calls before left under way.
func (d *Driver) begin(ctx context.Context, name string) (release func(), err error) {
	release, err = d.held.Take(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := d.long.settle(ctx); err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// doLong makes a changing call that takes long.
func (d *Driver) doLong(ctx context.Context, what string, f func(*lv.Libvirt) error) error {
	own, release := d.long.take()
	begun := false
	err := do(ctx, own, what, func(r *lv.Libvirt) error {
		begun = true
		defer release() // when the call ends, which may be after its caller has left
		return f(r)
	})
	if !begun {
		release()
	}
	return err
}

// number is a UUID as the protocol has it.
func number(uuid string) (n lv.UUID, err error) {
	digits := 0
	for _, r := range uuid {
		v, ok := hexDigit(r)
		switch {
		case r == '-':
		case !ok || digits == 2*len(n):
			return n, inventory.Invalid("UUID %q", uuid)
		default:
			n[digits/2] = n[digits/2]<<4 | v
			digits++
		}
	}
	if digits != 2*len(n) {
		return n, inventory.Invalid("UUID %q", uuid)
	}
	return n, nil
}

func hexDigit(r rune) (byte, bool) {
	switch {
	case r >= '0' && r <= '9':
		return byte(r - '0'), true
	case r >= 'a' && r <= 'f':
		return byte(r-'a') + 10, true
	case r >= 'A' && r <= 'F':
		return byte(r-'A') + 10, true
	}
	return 0, false
}
