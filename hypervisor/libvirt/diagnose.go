package libvirt

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"net"
	"os/exec"
	"strings"
	"syscall"

	"ingot/hypervisor"
	"ingot/inventory"
)

// Diagnose looks at a host before there is a driver: what is in the way of a connection,
// and what to do about it; and then what Check looks at. The error is for a context that
// ended.
func Diagnose(ctx context.Context, c Config) ([]hypervisor.Finding, error) {
	p, err := parse(c.withDefaults())
	if err != nil {
		return []hypervisor.Finding{failed("address", err, "correct it")}, ctx.Err()
	}
	d, err := Open(ctx, c)
	if err != nil {
		return []hypervisor.Finding{p.obstacle(err)}, ctx.Err()
	}
	defer d.Close()
	return d.Check(ctx)
}

// What to do about the obstacles that a host of any kind can have.
const (
	tryInstall = "install libvirt there; on Debian: apt-get install libvirt-daemon-system qemu-system-x86"
	tryStart   = "start libvirt there: systemctl start libvirtd (or virtqemud)"
	tryGroup   = "let the user manage libvirt: usermod -aG libvirt USER, and log in again"
	tryRoute   = "look at the name, the route and the firewall"
)

// obstacle is what an error of Open says of the way there.
func (p place) obstacle(err error) hypervisor.Finding {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return failed(p.by, err, "nobody answered in time: "+tryRoute)
	case p.by == viaSSH:
		return failed(p.by, err, trySSH(err))
	case p.by == viaTLS:
		return failed(p.by, err, tryTLS(err))
	}
	return failed(p.by, err, p.trySocket(err))
}

func (p place) trySocket(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, inventory.ErrDenied):
		return tryGroup
	case errors.Is(err, syscall.ECONNREFUSED):
		return tryStart
	case errors.Is(err, fs.ErrNotExist) && p.session:
		return "start the user's libvirt, as that user: libvirtd --daemon; or use qemu:///system"
	case errors.Is(err, fs.ErrNotExist):
		return tryInstall + "; where it is installed, " + tryStart
	}
	return "look at the daemon's log: journalctl -u libvirtd"
}

// sshWords are what OpenSSH's client, the far shell and the far daemon's helper say, and
// what to do. The first that fits counts.
var sshWords = []struct{ said, try string }{
	{"Permission denied (", "put the key of the user that runs ingot serve into the far user's authorized_keys (ssh-copy-id): nobody is there to type a password"},
	{"Host key verification failed", "log in once by hand as the user that runs ingot serve, and compare the host key"},
	{"REMOTE HOST IDENTIFICATION HAS CHANGED", "if the host was installed anew: ssh-keygen -R HOST, and log in once by hand; else somebody is in between"},
	{"Could not resolve hostname", tryRoute},
	{"unix connect failed: Connection refused", tryStart},
	{"Connection refused", "is an SSH server running there? Look at name and port"},
	{"Connection timed out", tryRoute},
	{"No route to host", tryRoute},
	{"virt-ssh-helper: not found", tryInstall},
	{"virt-ssh-helper: command not found", tryInstall},
	{"nc: not found", tryInstall},
	{"nc: command not found", tryInstall},
	{"No such file or directory", tryInstall + "; where it is installed, " + tryStart},
	{"Permission denied", tryGroup},
}

func trySSH(err error) string {
	if errors.Is(err, exec.ErrNotFound) {
		return "install the SSH client here; on Debian: apt-get install openssh-client"
	}
	if errors.Is(err, inventory.ErrDenied) {
		return tryGroup
	}
	for _, w := range sshWords {
		if strings.Contains(err.Error(), w.said) {
			return w.try
		}
	}
	return "try by hand, as the user that runs ingot serve: ssh USER@HOST virsh -c qemu:///system version"
}

func tryTLS(err error) string {
	var unverified *tls.CertificateVerificationError
	var alert tls.AlertError
	var dial *net.OpError
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return "libvirt's certificates are missing here, or can't be read: cacert.pem in /etc/pki/CA, clientcert.pem in /etc/pki/libvirt, clientkey.pem in its private (libvirt.org/kbase/tlscerts.html), or name a directory: ?pkipath=DIR"
	case errors.As(err, &unverified):
		return "the host's certificate must be of the CA in cacert.pem, and for the name in the URL"
	case errors.As(err, &alert), strings.Contains(err.Error(), "server verification"):
		return "the host refuses our certificate: clientcert.pem must be of its CA, and in its tls_allowed_dn_list when it has one"
	case errors.As(err, &dial) && dial.Op == "dial":
		return tryRoute + " (TCP 16514), and whether libvirt listens there: systemctl start libvirtd-tls.socket"
	}
	return "is it libvirt that answers there? Look at name and port"
}
