package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
)

func hosts(t *testing.T, s inventory.Store) {
	h := inventory.Host{Name: "kvm1", URL: "qemu+ssh://root@kvm1/system", Network: "br0", Created: t0}
	update(t, s, func(ctx context.Context, x inventory.Tx) error {
		return errors.Join(x.PutHost(ctx, h), x.PutHost(ctx, inventory.Host{Name: "here", URL: "qemu:///system"}), x.PutHostSecret(ctx, "kvm1", []byte{0, 1, 0xff}))
	})
	h.Closed = true
	update(t, s, func(ctx context.Context, x inventory.Tx) error { return x.PutHost(ctx, h) })
	view(t, s, func(ctx context.Context, x inventory.Tx) error {
		all, err := x.Hosts(ctx)
		one, err1 := x.Host(ctx, "kvm1")
		kept, err2 := x.HostSecret(ctx, "kvm1")
		none, err3 := x.HostSecret(ctx, "here")
		if len(all) != 2 || all[0].Name != "here" || string(kept) != "\x00\x01\xff" || len(none) != 0 {
			t.Errorf("hosts %v, secrets %q and %q", all, kept, none)
		}
		if diff := cmp.Diff(h, one); diff != "" {
			t.Errorf("host (-want +got):\n%s", diff)
		}
		_, err4 := x.Host(ctx, "no")
		wantErr(t, err4, inventory.ErrNotFound)
		_, err4 = x.HostSecret(ctx, "no")
		wantErr(t, err4, inventory.ErrNotFound)
		return errors.Join(err, err1, err2, err3)
	})
	update(t, s, func(ctx context.Context, x inventory.Tx) error { return x.DeleteHost(ctx, "kvm1") })
	for _, f := range []func(context.Context, inventory.Tx) error{
		func(ctx context.Context, x inventory.Tx) error { return x.DeleteHost(ctx, "kvm1") },
		func(ctx context.Context, x inventory.Tx) error { return x.PutHostSecret(ctx, "kvm1", []byte("x")) },
	} {
		wantErr(t, s.Update(t.Context(), func(x inventory.Tx) error { return f(t.Context(), x) }), inventory.ErrNotFound)
	}
	wantErr(t, s.Update(t.Context(), func(x inventory.Tx) error {
		return x.PutHost(t.Context(), inventory.Host{Name: "bad", URL: "ftp://x"})
	}), inventory.ErrInvalid)
}
