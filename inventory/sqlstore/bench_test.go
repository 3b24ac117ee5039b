package sqlstore

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"ingot/inventory"
)

// BenchmarkLeases writes durable leases in groups as DHCP does.
func BenchmarkLeases(b *testing.B) {
	for _, group := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(group), func(b *testing.B) {
			s, err := OpenSQLite(b.Context(), filepath.Join(b.TempDir(), "ingot.db"))
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			now := time.Now()
			ip := netip.MustParseAddr("10.1.0.0")
			rows := make([]inventory.Address, group)
			leases := 0
			for b.Loop() {
				for i := range rows {
					ip = ip.Next()
					mac := inventory.MAC(fmt.Sprintf("52:54:00:%02x:%02x:%02x", byte(leases>>16), byte(leases>>8), byte(leases)))
					rows[i] = inventory.Address{IP: ip, Network: "rack", Use: inventory.AddressLeased, MAC: mac, Expires: now.Add(time.Hour), Updated: now}
					leases++
				}
				if err := putAll(b.Context(), s, rows); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(leases)/b.Elapsed().Seconds(), "leases/s")
		})
	}
}

func putAll(ctx context.Context, s *Store, rows []inventory.Address) error {
	return s.Update(ctx, func(x inventory.Tx) error { return x.PutAddresses(ctx, rows) })
}
