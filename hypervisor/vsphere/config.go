package vsphere

import (
	"cmp"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"ingot/inventory"
)

// Config says where a driver works and for whom.
type Config struct {
	// URL is vsphere://user@server[:port]/datacenter[/cluster-or-host]. What is left out
	// is the only one there is; when there are more, Open's error names them. An ESXi
	// host needs no path.
	URL string
	// Password is asked for at each login and kept nowhere.
	Password func() ([]byte, error) `json:"-"`
	// Thumbprint pins the server's certificate: SHA-256, or SHA-1 as older vSphere
	// clients print it, in hex with or without colons. Empty asks the system's CAs.
	Thumbprint string
	// Owner of what this driver makes.
	Owner string
	// Datastore for machines and images; empty is the only one there is.
	Datastore string
	// Folder of the inventory, below the datacenter's; empty is "ingot". Images are in
	// its folder "images". ESXi has no folders.
	Folder string
	// Log may be nil.
	Log *slog.Logger
	// Now may be nil.
	Now func() time.Time
}

// target is a Config's URL, taken apart.
type target struct {
	// sdk is the SOAP address, without a user.
	sdk                       *url.URL
	user, datacenter, compute string
}

// parse fills in defaults and takes the URL apart. Its errors don't show the URL when that
// has a password in it.
func (c Config) parse() (Config, target, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "vsphere" || u.Hostname() == "" || u.User.Username() == "" {
		return c, target{}, inventory.Invalid("vSphere address is not vsphere://user@server/datacenter")
	}
	if _, has := u.User.Password(); has {
		return c, target{}, inventory.Invalid("vSphere address has a password in it: give it apart")
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(parts) > 2 {
		return c, target{}, inventory.Invalid("vSphere address has the path %q (want /datacenter or /datacenter/cluster-or-host)", u.Path)
	}
	if c.Owner == "" || c.Password == nil {
		return c, target{}, inventory.Invalid("vSphere %s: no owner or no password", u.Host)
	}
	c.Folder = cmp.Or(c.Folder, "ingot")
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	t := target{sdk: &url.URL{Scheme: "https", Host: u.Host, Path: "/sdk"}, user: u.User.Username(), datacenter: parts[0]}
	if len(parts) == 2 {
		t.compute = parts[1]
	}
	return c, t, nil
}
