package hyperv

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ingot/hypervisor"
	"ingot/hypervisor/hyperv/powershell"
	"ingot/inventory"
)

// Config says where a driver works and for whom.
type Config struct {
	// URL is winrm+https://user@host[:port] or ssh+hyperv://user@host[:port]. A domain's
	// user is user%40domain or domain%5Cuser. WinRM logs in with NTLM, or as ?auth=basic or
	// ?auth=certificate&cert=FILE&key=FILE say.
	URL string
	// Password is asked for at each login and kept nowhere. ssh logs in by key, without.
	Password func() ([]byte, error) `json:"-"`
	// Thumbprint pins the host's TLS certificate (SHA-256 in hex); empty asks the system's
	// CAs. With SSH, ssh's known hosts pin keys.
	Thumbprint string
	// Owner of what this driver makes.
	Owner string
	// Storage is a folder at the host; empty is the host's own for virtual disks.
	Storage string
	// Network is the virtual switch of NICs that name none; empty is the only one there is,
	// or "Default Switch".
	Network string
	// Offer makes an artefact available to the host; nil brings no images.
	Offer func(ctx context.Context, name string, a hypervisor.Artefact) (o Offer, release func(), err error) `json:"-"`
	// Every is how often Watch looks, 0 is 5 s. What is waited for (a guest that shuts
	// down, disks that are merged) is looked at five times as often.
	Every time.Duration
	// Patience is how long is waited for what stands in the way of a change (disks that are
	// merged before a delete, a script whose connection was lost and that goes on); 0 is a
	// minute.
	Patience time.Duration
	// Runner runs the scripts; nil is made from the URL. The driver closes it.
	Runner powershell.Runner `json:"-"`
	// Log may be nil.
	Log *slog.Logger
	// Now may be nil.
	Now func() time.Time
}

// Offer is where the host fetches an artefact: by HTTPS, with ranges.
type Offer struct {
	URL string
	// CertificateSHA256 is of the server's certificate, in hex with or without colons.
	CertificateSHA256 string
}

// target is a Config's URL, taken apart.
type target struct {
	ssh bool
	// host is the name with the port that was given, name and port its parts; port is 0
	// when none was.
	host, name, user string
	port             int
	// login is of WinRM.
	login login
}

const (
	winrmScheme  = "winrm+https"
	sshScheme    = "ssh+hyperv"
	everyDefault = 5 * time.Second
	// patienceDefault is of the length of a creation.
	patienceDefault = time.Minute
)

// parse fills in defaults and takes the URL apart. Its errors don't show the URL, which may
// have a password in it.
func (c Config) parse() (Config, target, error) {
	t, err := parseURL(c.URL)
	if err != nil {
		return c, t, err
	}
	switch {
	case c.Owner == "":
		return c, t, inventory.Invalid("Hyper-V %s: no owner", t.host)
	case c.Runner == nil && !t.ssh && t.login.wantsPassword() && (c.Password == nil || t.user == ""):
		return c, t, inventory.Invalid("Hyper-V %s: no user or no password", t.host)
	case c.Thumbprint != "" && t.ssh:
		return c, t, inventory.Invalid("Hyper-V %s: with SSH, keys are pinned by ssh's known hosts, not by a thumbprint", t.host)
	}
	if c.Storage, err = cleanStorage(c.Storage); err != nil {
		return c, t, fmt.Errorf("Hyper-V %s: %w", t.host, err)
	}
	if c.Every <= 0 {
		c.Every = everyDefault
	}
	if c.Patience <= 0 {
		c.Patience = patienceDefault
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c, t, nil
}

func parseURL(text string) (target, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != winrmScheme && u.Scheme != sshScheme || u.Hostname() == "" {
		return target{}, inventory.Invalid("Hyper-V address is not winrm+https://user@host or ssh+hyperv://user@host (domain\\user is written domain%%5Cuser)")
	}
	if _, has := u.User.Password(); has {
		return target{}, inventory.Invalid("Hyper-V address has a password in it: give it apart")
	}
	if strings.Trim(u.Path, "/") != "" || u.Fragment != "" || u.RawQuery != "" && u.Scheme != winrmScheme {
		return target{}, inventory.Invalid("Hyper-V address of %s has more than a host in it", u.Host)
	}
	t := target{ssh: u.Scheme == sshScheme, host: u.Host, name: u.Hostname(), user: u.User.Username()}
	if u.Port() != "" {
		t.port, err = strconv.Atoi(u.Port())
	}
	if err != nil || t.port > 65535 {
		return target{}, inventory.Invalid("Hyper-V address of %s has the port %q", t.name, u.Port())
	}
	if t.login, err = parseLogin(u.RawQuery); err != nil {
		return target{}, err
	}
	return t, nil
}
