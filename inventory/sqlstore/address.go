package sqlstore

import (
	"context"
	"fmt"
	"math"
	"time"

	"ingot/inventory"
)

// PutAddress implements inventory.AddressStore. The condition is part of the upsert,
// so that two writers can't both get the address. A holder is known by MAC or client
// identifier or, without both, by machine: one of them in common is the same holder.
// A quarantine takes the address from whoever has it, and belongs to nobody.
func (x *tx) PutAddress(ctx context.Context, a inventory.Address) error {
	text, err := encode(a)
	if err != nil {
		return err
	}
	mac, client, machine, forced := string(a.MAC), a.ClientID, a.Machine, 0
	if mac != "" || client != "" {
		machine = ""
	}
	if a.Use == inventory.AddressQuarantined {
		mac, client, machine, forced = "", "", "", 1
	}
	n, err := x.exec(ctx, putAddress, a.IP.String(), a.Network, mac, client, machine, forced, expiry(a.Expires), text, a.Updated.UnixNano())
	if err != nil {
		return fmt.Errorf("write address %s: %w", a.IP, err)
	}
	if n == 0 {
		return inventory.Conflict("address %s is taken", a.IP)
	}
	return nil
}

const putAddress = `INSERT INTO addresses (ip, network, mac, client, machine, forced, expires, doc) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
	ON CONFLICT (ip) DO UPDATE SET network = excluded.network, mac = excluded.mac, client = excluded.client, machine = excluded.machine,
		forced = excluded.forced, expires = excluded.expires, doc = excluded.doc
	WHERE excluded.forced = 1 OR addresses.expires <= ?
		OR (addresses.mac <> '' AND addresses.mac = excluded.mac)
		OR (addresses.client <> '' AND addresses.client = excluded.client)
		OR (addresses.machine <> '' AND addresses.machine = excluded.machine)`

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
