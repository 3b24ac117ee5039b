package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// vmsAtOnce is how many are made together.
const vmsAtOnce = 20

// vmContests: a VM on libvirt from the order to started, one and twenty at once, beside
// the calls by hand that make the same machine.
func vmContests(ctx context.Context, b *bench) (_ []*contest, err error) {
	h, err := b.openHost(ctx)
	if err != nil {
		return nil, err
	}
	b.cleanups = append(b.cleanups, h.close)
	const byHand = "qemu-img, virsh define, virsh start"
	against := func(title string, n int, limit float64) *contest {
		c := &contest{title: title, figures: []figure{{"time", "s", false}}, targets: []target{{"time", limit, byHand}},
			note: "the machine has an overlay on the image, a NIC on libvirt's network, a serial port, and no system; Ingot's has a seed beside"}
		round := 0
		c.contestants = []contestant{
			{"ingot vm create", func(ctx context.Context) (values, error) { round++; return h.timed(ctx, n, round, h.order, h.remove) }},
			{byHand, func(ctx context.Context) (values, error) { return h.timed(ctx, n, round, h.raw, h.undefine) }},
		}
		return c
	}
	all := []*contest{against("A VM on libvirt, from order to started", 1, 1.3)}
	if !b.quick {
		all = append(all, against(fmt.Sprintf("%d VMs at once", vmsAtOnce), vmsAtOnce, 2), listContest())
	}
	return all, nil
}

// timed makes n machines at once and takes them away again.
func (h *vmHost) timed(ctx context.Context, n, round int, make, remove func(context.Context, string) error) (values, error) {
	name := func(i int) string { return fmt.Sprintf("bench-%d-%d", round, i) }
	each := func(ctx context.Context, f func(context.Context, string) error) error {
		g, ctx := errgroup.WithContext(ctx)
		for i := range n {
			g.Go(func() error { return f(ctx, name(i)) })
		}
		return g.Wait()
	}
	began := time.Now()
	err := each(ctx, make)
	took := time.Since(began)
	if err = errors.Join(err, each(ctx, remove)); err != nil {
		return nil, err
	}
	return values{"time": took.Seconds()}, nil
}
