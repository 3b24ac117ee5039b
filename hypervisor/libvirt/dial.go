package libvirt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	lv "github.com/digitalocean/go-libvirt"
	"github.com/digitalocean/go-libvirt/socket/dialers"

	"ingot/inventory"
)

// dialFunc makes a connection to the daemon.
type dialFunc func(context.Context) (net.Conn, error)

// place is where a URL leads.
type place struct {
	dial dialFunc
	// uri is what the daemon itself is asked to open.
	uri lv.ConnectURI
	// session is a daemon of one user, without networks of its own.
	session bool
	// local is this computer.
	local bool
	// by is how it is reached: viaSocket, viaSSH or viaTLS.
	by string
}

const (
	viaSocket = "socket"
	viaSSH    = "SSH"
	viaTLS    = "TLS"
)

// parse reads a libvirt URI: qemu:///system, qemu:///session, qemu+ssh://user@host/system,
// qemu+tls://host/system, with ?socket=PATH where the daemon's socket is elsewhere.
func parse(c Config) (place, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return place{}, inventory.Invalid("libvirt URL %q: %v", c.URL, err)
	}
	driver, transport, _ := strings.Cut(u.Scheme, "+")
	p := place{uri: lv.ConnectURI("qemu://" + u.Path), session: u.Path == "/session"}
	if driver != "qemu" || u.Path != "/session" && u.Path != "/system" {
		return place{}, inventory.Invalid("libvirt URL %q (want qemu:///system, qemu:///session, qemu+ssh://user@host/system or qemu+tls://host/system)", c.URL)
	}
	socket := u.Query().Get("socket")
	if c.Socket != "" {
		socket = c.Socket
	}
	switch {
	case transport == "ssh" && u.Hostname() != "":
		p.by, p.dial = viaSSH, sshDialer(u, string(p.uri), socket)
	case transport == "tls" && u.Hostname() != "", transport == "" && u.Hostname() != "":
		p.by, p.dial = viaTLS, tlsDialer(u)
	case (transport == "" || transport == "unix") && u.Host == "":
		p.local, p.by = true, viaSocket
		p.dial = unixDialer(p.session, socket)
	default:
		return place{}, inventory.Invalid("libvirt URL %q: no such transport, or no host", c.URL)
	}
	return p, nil
}

// unixDialer connects to the daemon of this computer: libvirtd, or virtqemud where the
// daemons are split up (libvirt's daemons.html).
func unixDialer(session bool, socket string) dialFunc {
	sockets := []string{socket}
	if socket == "" {
		dir := "/run/libvirt"
		if session {
			dir = filepath.Join(runtimeDir(), "libvirt")
		}
		sockets = []string{filepath.Join(dir, "libvirt-sock"), filepath.Join(dir, "virtqemud-sock")}
	}
	return func(ctx context.Context) (net.Conn, error) {
		var errs []error
		for _, s := range sockets {
			conn, err := new(net.Dialer).DialContext(ctx, "unix", s)
			if err == nil {
				return conn, nil
			}
			errs = append(errs, err)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if errors.Is(errs[0], fs.ErrPermission) {
			errs = append(errs, inventory.ErrDenied)
		}
		return nil, fmt.Errorf("libvirt: connect: %w", errors.Join(errs...))
	}
}

// runtimeDir is where a user's daemon has its socket (XDG Base Directory specification).
func runtimeDir() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return dir
	}
	return fmt.Sprintf("/run/user/%d", os.Getuid())
}

// tlsDialer connects with the certificates of libvirt's tlscerts.html. The binding's
// dialer knows no context, so it runs beside; it gives up by itself after 20 s.
func tlsDialer(u *url.URL) dialFunc {
	var options []dialers.TLSOption
	if u.Port() != "" {
		options = append(options, dialers.UseTLSPort(u.Port()))
	}
	if path := u.Query().Get("pkipath"); path != "" {
		options = append(options, dialers.UsePKIPath(path))
	}
	dialer := dialers.NewTLS(u.Hostname(), options...)
	return func(ctx context.Context) (net.Conn, error) {
		type result struct {
			conn net.Conn
			err  error
		}
		dialled := make(chan result)
		go func() {
			conn, err := dialer.Dial()
			select {
			case dialled <- result{conn, err}:
			case <-ctx.Done():
				if err == nil {
					conn.Close()
				}
			}
		}()
		select {
		case r := <-dialled:
			if r.err != nil {
				return nil, fmt.Errorf("libvirt: connect to %s: %w", u.Host, r.err)
			}
			return r.conn, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
