package sqlstore

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"

	"ingot/inventory"
)

// PutAddress implements inventory.AddressStore.
func (x *tx) PutAddress(ctx context.Context, a inventory.Address) error {
	return x.PutAddresses(ctx, []inventory.Address{a})
}

// PutAddresses implements inventory.AddressStore.
func (x *tx) PutAddresses(ctx context.Context, as []inventory.Address) error {
	together := distinct(as)
	for _, put := range addressPuts {
		for ; len(as) >= put.rows && (together || put.rows == 1); as = as[put.rows:] {
			if err := x.putAddresses(ctx, put.query, as[:put.rows]); err != nil {
				return err
			}
		}
	}
	return nil
}

// distinct reports whether no address comes twice, which a statement can't have.
func distinct(as []inventory.Address) bool {
	seen := map[netip.Addr]bool{}
	for _, a := range as {
		seen[a.IP] = true
	}
	return len(seen) == len(as)
}

// addressColumns of each row; the condition has one more argument, the time.
const addressColumns = 8

// putAddresses runs an upsert of as many rows. The condition is part of it, so that two
// writers can't both get an address. A holder is known by MAC or client identifier or,
// without both, by machine: one of them in common is the same holder. A quarantine takes
// the address from whoever has it, and belongs to nobody.
func (x *tx) putAddresses(ctx context.Context, query string, as []inventory.Address) error {
	args := make([]any, 0, len(as)*addressColumns+1)
	now := as[0].Updated
	for _, a := range as {
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
		if a.Updated.Before(now) {
			now = a.Updated
		}
		args = append(args, a.IP.String(), a.Network, mac, client, machine, forced, expiry(a.Expires), text)
	}
	n, err := x.exec(ctx, query, append(args, now.UnixNano())...)
	if err != nil {
		return fmt.Errorf("write address %s: %w", joinIPs(as), err)
	}
	if n < int64(len(as)) {
		return inventory.Conflict("address %s is taken", joinIPs(as))
	}
	return nil
}

// joinIPs names the addresses of which one is meant.
func joinIPs(as []inventory.Address) string {
	ips := make([]string, len(as))
	for i, a := range as {
		ips[i] = a.IP.String()
	}
	return strings.Join(ips, " or ")
}

// addressPut writes as many addresses with one statement as it has rows.
type addressPut struct {
	rows  int
	query string
}

// addressPuts are the statements for many addresses, the largest first: each run of one
// costs as much as some rows do.
var addressPuts = []addressPut{{32, upsertAddresses(32)}, {8, upsertAddresses(8)}, {4, upsertAddresses(4)}, {2, upsertAddresses(2)}, {1, upsertAddresses(1)}}

func upsertAddresses(n int) string {
	return `INSERT INTO addresses (ip, network, mac, client, machine, forced, expires, doc) VALUES ` +
		strings.TrimSuffix(strings.Repeat(`(`+marks(addressColumns)+`), `, n), `, `) +
		` ON CONFLICT (ip) DO UPDATE SET network = excluded.network, mac = excluded.mac, client = excluded.client, machine = excluded.machine,
		forced = excluded.forced, expires = excluded.expires, doc = excluded.doc
	WHERE excluded.forced = 1 OR addresses.expires <= ?
		OR (addresses.mac <> '' AND addresses.mac = excluded.mac)
		OR (addresses.client <> '' AND addresses.client = excluded.client)
		OR (addresses.machine <> '' AND addresses.machine = excluded.machine)`
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
