package pxe

import (
	"context"
	"time"

	"ingot/inventory"
	"ingot/pxe/dhcp"
	"ingot/pxe/netboot"
)

// booter answers DHCP's question from the boot table, and tells the recorder.
type booter struct {
	table    *netboot.Table
	recorder *netboot.Recorder
}

// Boot implements dhcp.Booter.
func (b booter) Boot(_ context.Context, c dhcp.Client) dhcp.Offer {
	client := netboot.Client{MAC: c.MAC, UUID: c.UUID, Arch: int(c.Arch), HTTP: c.IsHTTP, IPXE: c.IsIPXE,
		Network: c.Network, Relay: c.Relay, Server: c.Server, Proxy: c.Proxy}
	offer := b.table.Boot(client)
	if c.Discover {
		b.recorder.SawBoot(client, c.Class, offer)
	}
	return dhcp.Offer{File: offer.File, URL: offer.URL, Silence: offer.Nothing}
}

// Known implements dhcp.Machines.
func (b booter) Known(mac inventory.MAC) bool { return b.table.Known(mac) }

// announcer stores DHCP's announcements as events, from a bounded queue.
type announcer struct {
	store inventory.Store
	now   func() time.Time
	queue chan inventory.Payload
}

func newAnnouncer(s inventory.Store, now func() time.Time) *announcer {
	return &announcer{store: s, now: now, queue: make(chan inventory.Payload, 256)}
}

// Announce implements dhcp.Announcer.
func (a *announcer) Announce(p inventory.Payload) {
	select {
	case a.queue <- p:
	default:
	}
}

func (a *announcer) run(ctx context.Context, failed func(error)) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case p := <-a.queue:
			err := a.store.Update(ctx, func(x inventory.Tx) error {
				e, err := inventory.NewEvent(nil, a.now(), p)
				if err != nil {
					return err
				}
				_, err = x.AddEvent(ctx, e)
				return err
			})
			if err != nil && ctx.Err() == nil {
				failed(err)
			}
		}
	}
}
