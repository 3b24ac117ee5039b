package daemon

import (
	"context"

	"ingot/inventory"
)

// leases implements dhcp.Leases on the store: one transaction for all that wait.
type leases struct{ store inventory.Store }

// Addresses implements dhcp.Leases.
func (l leases) Addresses(ctx context.Context) (as []inventory.Address, err error) {
	err = l.store.View(ctx, func(x inventory.Tx) error {
		as, err = x.Addresses(ctx, "")
		return err
	})
	return as, err
}

// Commit implements dhcp.Leases.
func (l leases) Commit(ctx context.Context, rows []inventory.Address) error {
	return l.store.Update(ctx, func(x inventory.Tx) error { return x.PutAddresses(ctx, rows) })
}
