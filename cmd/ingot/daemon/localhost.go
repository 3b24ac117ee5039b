package daemon

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"time"

	"ingot/inventory"
)

// localSockets are where libvirt's daemons of this computer listen (libvirt's
// daemons.html).
var localSockets = []string{"/run/libvirt/libvirt-sock", "/run/libvirt/virtqemud-sock"}

const (
	// localHost is the name under which this computer becomes a host.
	localHost = "local"
	// localSetting remembers that it was added once: who removes it wants it gone.
	localSetting = "local-host"
	// localDialLimit bounds the look at a socket, behind which systemd may have to start
	// the daemon.
	localDialLimit = 5 * time.Second
)

// findLocalHost makes the libvirt of this computer the first host, so that the first VM
// needs no "ingot host add".
func findLocalHost(ctx context.Context, store inventory.Store, sockets []string, now time.Time, log *slog.Logger) error {
	socket := answering(ctx, sockets, log)
	if socket == "" {
		return nil
	}
	return store.Update(ctx, func(x inventory.Tx) error {
		hosts, err := x.Hosts(ctx)
		if err != nil || len(hosts) > 0 {
			return err
		}
		if done, err := x.Setting(ctx, localSetting); err != nil || done != "" {
			return err
		}
		log.Info("libvirt runs here: it is host local", "socket", socket)
		if err := x.PutHost(ctx, inventory.Host{Name: localHost, URL: "qemu:///system", Created: now}); err != nil {
			return err
		}
		return x.PutSetting(ctx, localSetting, "added")
	})
}

// answering is the first socket behind which somebody is: one that a daemon left behind is
// none.
func answering(ctx context.Context, sockets []string, log *slog.Logger) string {
	ctx, cancel := context.WithTimeout(ctx, localDialLimit)
	defer cancel()
	for _, socket := range sockets {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
		if err == nil && conn.Close() == nil {
			return socket
		}
		if errors.Is(err, fs.ErrPermission) {
			log.Warn("libvirt is here, but this user may not use it: put the user into the group libvirt, or add a host", "socket", socket)
		}
	}
	return ""
}
