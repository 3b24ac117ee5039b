package fleet

import (
	"context"
	"fmt"
	"io"

	"ingot/hypervisor"
	"ingot/inventory"
)

// Console joins the serial port of a machine that was made, as hypervisor.Consoler does; a
// host that does not reach it is inventory.ErrUnsupported.
func (f *Fleet) Console(ctx context.Context, m *inventory.Machine, force bool, joined func() (io.ReadWriter, error)) error {
	c, err := f.made(ctx, m)
	if err != nil {
		return err
	}
	s, ok := c.driver.(hypervisor.Consoler)
	if !ok {
		return fmt.Errorf("the driver for %s hosts reaches no serial ports; host %s has its own console (and there is ingot vm ssh %s): %w",
			c.host.Kind(), c.host.Name, m.Name, inventory.ErrUnsupported)
	}
	return s.Console(ctx, m.ID, force, joined)
}
