package sqlstore

import (
	"context"
	"fmt"
	"math"
	"time"

	"ingot/inventory"
)

// PutAddress implements inventory.AddressStore. The condition is part of the upsert,
// so that two writers can't both get the address.
func (x *tx) PutAddress(ctx context.Context, a inventory.Address) error {
	text, err := encode(a)
	if err != nil {
		return err
	}
	reuse := ""
	if a.Use == inventory.AddressQuarantined {
		reuse = "always"
	}
	n, err := x.exec(ctx, `INSERT INTO addresses (ip, network, owner, reuse, expires, doc) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (ip) DO UPDATE SET network = excluded.network, owner = excluded.owner, reuse = excluded.reuse,
			expires = excluded.expires, doc = excluded.doc
		WHERE addresses.owner = excluded.owner OR addresses.expires <= ? OR excluded.reuse = 'always'`,
		a.IP.String(), a.Network, owner(a), reuse, expiry(a.Expires), text, a.Updated.UnixNano())
	if err != nil {
		return fmt.Errorf("write address %s: %w", a.IP, err)
	}
	if n == 0 {
		return inventory.Conflict("address %s is taken", a.IP)
	}
	return nil
}

// owner tells who an address belongs to: the client identifier before the MAC, as
// RFC 2131 section 4.2 has it; a quarantined address belongs to nobody.
func owner(a inventory.Address) string {
	switch {
	case a.Use == inventory.AddressQuarantined:
		return "nobody"
	case a.ClientID != "":
		return "client " + a.ClientID
	case a.MAC != "":
		return "mac " + string(a.MAC)
	}
	return "machine " + a.Machine
}

func expiry(t time.Time) int64 {
	if t.IsZero() {
		return math.MaxInt64
	}
	return t.UnixNano()
}

// Addresses implements inventory.AddressStore.
func (x *tx) Addresses(ctx context.Context, network string) ([]inventory.Address, error) {
	as, err := docs[inventory.Address](ctx, x, `SELECT doc FROM addresses WHERE ? = '' OR network = ?`, network, network)
	if err != nil {
		return nil, fmt.Errorf("read addresses: %w", err)
	}
	sortByIP(as)
	return as, nil
}

// DeleteAddress implements inventory.AddressStore.
func (x *tx) DeleteAddress(ctx context.Context, ip string) error {
	n, err := x.exec(ctx, `DELETE FROM addresses WHERE ip = ?`, ip)
	if err != nil {
		return fmt.Errorf("delete address %s: %w", ip, err)
	}
	if n == 0 {
		return inventory.NotFound("address", ip)
	}
	return nil
}
