package storetest

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"ingot/inventory"
)

func catalog(t *testing.T, s inventory.Store) {
	n := inventory.Network{Name: "rack", Subnet: netip.MustParsePrefix("192.0.2.0/24"), DHCP: inventory.DHCPProxy}
	i := inventory.Image{Name: "debian-12", Digest: "sha256:abc", FirstBoot: "cloud-init", Created: t0}
	c := inventory.Channel{Name: "debian-12", Channel: "stable", Digest: "sha256:abc", Moved: t0}
	update(t, s, func(ctx context.Context, x inventory.Tx) error {
		return errors.Join(x.PutNetwork(ctx, n), x.PutImage(ctx, i), x.PutChannel(ctx, c), x.PutChannel(ctx, c), x.PutSetting(ctx, "k", "v"))
	})
	view(t, s, func(ctx context.Context, x inventory.Tx) error {
		ns, err := x.Networks(ctx)
		is, err1 := x.Images(ctx)
		cs, err2 := x.Channels(ctx)
		v, err3 := x.Setting(ctx, "k")
		none, err4 := x.Setting(ctx, "other")
		if len(ns) != 1 || len(is) != 1 || len(cs) != 1 || v != "v" || none != "" || ns[0].Subnet != n.Subnet {
			t.Errorf("networks %v images %v channels %v setting %q %q", ns, is, cs, v, none)
		}
		return errors.Join(err, err1, err2, err3, err4)
	})
	bad := n
	bad.DHCP = "maybe"
	wantErr(t, s.Update(t.Context(), func(x inventory.Tx) error { return x.PutNetwork(t.Context(), bad) }), inventory.ErrInvalid)
	wantErr(t, s.Update(t.Context(), func(x inventory.Tx) error { return x.DeleteNetwork(t.Context(), "no") }), inventory.ErrNotFound)
}
