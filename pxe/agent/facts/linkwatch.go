package facts

import (
	"context"
	"fmt"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// watchPause is between two attempts to hear of interfaces from the kernel, which drops
// a listener that is too slow.
const watchPause = time.Second

// watch follows the kernel's list of interfaces until ctx ends.
func (n *Neighbours) watch(ctx context.Context) {
	for ctx.Err() == nil {
		err := n.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		n.log.Warn("watch interfaces", "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(watchPause):
		}
	}
}

func (n *Neighbours) follow(ctx context.Context) error {
	updates, done := make(chan netlink.LinkUpdate, 64), make(chan struct{})
	var why error
	err := netlink.LinkSubscribeWithOptions(updates, done, netlink.LinkSubscribeOptions{ListExisting: true, ErrorCallback: func(err error) { why = err }})
	if err != nil {
		close(done)
		return fmt.Errorf("subscribe: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { close(done) })
	for u := range updates { // closed by the subscription when it ends
		if ctx.Err() == nil {
			n.link(u)
		}
	}
	if stop() {
		close(done)
	}
	return why
}

// link takes one message about an interface.
func (n *Neighbours) link(u netlink.LinkUpdate) {
	a := u.Attrs()
	if u.Header.Type == unix.RTM_DELLINK {
		n.mu.Lock()
		delete(n.names, a.Index)
		n.mu.Unlock()
		n.forget(a.Name)
		return
	}
	if !n.accept(a.Name) {
		return
	}
	n.mu.Lock()
	_, seen := n.names[a.Index]
	n.names[a.Index] = a.Name
	n.mu.Unlock()
	if !seen {
		if err := n.open(u.Link); err != nil {
			n.log.Warn("listen for LLDP", "interface", a.Name, "err", err)
		}
	}
	if a.RawFlags&unix.IFF_RUNNING == 0 {
		n.forget(a.Name)
	}
}

// open joins the groups on an interface and brings it up.
func (n *Neighbours) open(link netlink.Link) error {
	for _, group := range lldpGroups {
		mreq := unix.PacketMreq{Ifindex: int32(link.Attrs().Index), Type: unix.PACKET_MR_MULTICAST, Alen: 6, Address: group}
		if err := n.conn.SetsockoptPacketMreq(unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &mreq); err != nil {
			return fmt.Errorf("join group: %w", err)
		}
	}
	if err := n.links.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring up: %w", err)
	}
	return nil
}
