package daemon

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"ingot/inventory"
	"ingot/inventory/lifecycle"
)

// Config is what ingot serve is told by file, INGOT_* variables and flags; a flag wins
// over a variable, a variable over the file.
type Config struct {
	// Data is the directory with database, images, boot files, keys and logs.
	Data string `yaml:"data" mapstructure:"data"`
	// Database is a PostgreSQL URL; empty is SQLite in Data.
	Database string `yaml:"database" mapstructure:"database"`
	// Interfaces are where machines boot.
	Interfaces []string `yaml:"interfaces" mapstructure:"interfaces"`
	// DHCP is proxy, authoritative, off, or empty: proxy, and authoritative where that
	// is certain to be safe.
	DHCP string `yaml:"dhcp" mapstructure:"dhcp"`
	// Discover offers the agent to machines nobody knows.
	Discover bool `yaml:"discover" mapstructure:"discover"`
	// LocalHost makes this computer's libvirt the first host, where there is none yet.
	LocalHost       bool            `yaml:"local_host" mapstructure:"local_host"`
	KernelArgs      string          `yaml:"kernel_args" mapstructure:"kernel_args"`
	Admin           Admin           `yaml:"admin" mapstructure:"admin"`
	Machine         Machine         `yaml:"machine" mapstructure:"machine"`
	Log             Log             `yaml:"log" mapstructure:"log"`
	Limits          Limits          `yaml:"limits" mapstructure:"limits"`
	Images          Images          `yaml:"images" mapstructure:"images"`
	BootEnvironment BootEnvironment `yaml:"boot_environment" mapstructure:"boot_environment"`
	Nightly         []Nightly       `yaml:"nightly" mapstructure:"nightly"`
	Webhooks        []Webhook       `yaml:"webhooks" mapstructure:"webhooks"`
	Networks        []Network       `yaml:"networks" mapstructure:"networks"`
}

// Admin is the API's listener.
type Admin struct {
	Listen string `yaml:"listen" mapstructure:"listen"`
}

// Machine are the ports of the listeners that machines talk to.
type Machine struct {
	HTTPPort int `yaml:"http_port" mapstructure:"http_port"`
	// AdvertisedHTTPPort is what machines are told, where a proxy stands before
	// HTTPPort; 0 is HTTPPort itself.
	AdvertisedHTTPPort int `yaml:"advertised_http_port" mapstructure:"advertised_http_port"`
	// URL is under what VMs reach this server, where it can't find that out by itself.
	URL     string `yaml:"url" mapstructure:"url"`
	TLSPort int    `yaml:"tls_port" mapstructure:"tls_port"`
	// OfferPort is where Hyper-V hosts fetch images by HTTPS; opened when one is to.
	OfferPort      int `yaml:"offer_port" mapstructure:"offer_port"`
	NetconsolePort int `yaml:"netconsole_port" mapstructure:"netconsole_port"`
}

func (m Machine) advertised() int {
	if m.AdvertisedHTTPPort != 0 {
		return m.AdvertisedHTTPPort
	}
	return m.HTTPPort
}

// Limits are the times after which silence is a failure; they restart with every sign of
// progress.
type Limits struct {
	// Silent is when an agent without a beat counts as gone.
	Silent time.Duration `yaml:"silent" mapstructure:"silent"`
	// Boot is how long a machine may take to boot the agent.
	Boot time.Duration `yaml:"boot" mapstructure:"boot"`
	// FirstBoot is how long the installed system may take to phone home.
	FirstBoot time.Duration `yaml:"first_boot" mapstructure:"first_boot"`
}

func (l Limits) check() error {
	for key, d := range map[string]time.Duration{"limits.silent": l.Silent, "limits.boot": l.Boot, "limits.first_boot": l.FirstBoot} {
		if d <= 0 {
			return bad(key, "%s (want a time above zero, like 20s or 15m)", d)
		}
	}
	return nil
}

func (l Limits) lifecycle() lifecycle.Limits {
	out := lifecycle.DefaultLimits
	out.Silent, out.Boot, out.FirstBoot = l.Silent, l.Boot, l.FirstBoot
	return out
}

// Log is how the server logs.
type Log struct {
	Level  string `yaml:"level" mapstructure:"level"`
	Format string `yaml:"format" mapstructure:"format"`
}

// Network is an inventory.Network in the file's spelling.
type Network struct {
	Name          string        `yaml:"name" mapstructure:"name"`
	Subnet        string        `yaml:"subnet" mapstructure:"subnet"`
	VLAN          int           `yaml:"vlan" mapstructure:"vlan"`
	Gateway       string        `yaml:"gateway" mapstructure:"gateway"`
	DNS           []string      `yaml:"dns" mapstructure:"dns"`
	NTP           []string      `yaml:"ntp" mapstructure:"ntp"`
	Domain        string        `yaml:"domain" mapstructure:"domain"`
	DHCP          string        `yaml:"dhcp" mapstructure:"dhcp"`
	Pools         []string      `yaml:"pools" mapstructure:"pools"`
	LeaseTime     time.Duration `yaml:"lease_time" mapstructure:"lease_time"`
	SoleAuthority bool          `yaml:"sole_authority" mapstructure:"sole_authority"`
	AnyClient     bool          `yaml:"any_client" mapstructure:"any_client"`
	Chain         string        `yaml:"chain" mapstructure:"chain"`
	Reservations  []Reservation `yaml:"reservations" mapstructure:"reservations"`
}

// Reservation fixes an address for a MAC.
type Reservation struct {
	MAC      string `yaml:"mac" mapstructure:"mac"`
	IP       string `yaml:"ip" mapstructure:"ip"`
	Hostname string `yaml:"hostname" mapstructure:"hostname"`
}

// defaults by key; the keys are also what INGOT_* variables may set.
var defaults = map[string]any{
	"data": "/var/lib/ingot", "database": "", "interfaces": []string{}, "dhcp": "", "discover": true, "local_host": true, "kernel_args": "console=tty0 console=ttyS0,115200 panic=30",
	"admin.listen": "127.0.0.1:7470", "machine.http_port": 7480, "machine.advertised_http_port": 0, "machine.url": "", "machine.tls_port": 7443, "machine.offer_port": 7444, "machine.netconsole_port": 6666,
	"log.level": "info", "log.format": "text",
	"images.signing_key": "", "images.signing_password_file": "", "images.trusted_keys": []string{}, "images.quota": "", "images.keep": 3, "images.grace": 24 * time.Hour, "images.collect": true,
	"boot_environment.times": "", "boot_environment.mirror": "", "boot_environment.suite": "", "boot_environment.modes": []string{}, "boot_environment.time_limit": 2 * time.Hour,
	"images.bucket.endpoint": "", "images.bucket.name": "", "images.bucket.prefix": "", "images.bucket.region": "us-east-1", "images.bucket.path_style": true,
	"images.bucket.credentials_file": "", "images.bucket.profile": "default", "images.bucket.ca_file": "", "images.bucket.server_name": "",
	"images.bucket.interval": time.Minute, "images.bucket.forget_after": 7 * 24 * time.Hour,
	"limits.silent": lifecycle.DefaultLimits.Silent, "limits.boot": lifecycle.DefaultLimits.Boot, "limits.first_boot": lifecycle.DefaultLimits.FirstBoot,
}

// Flags declares serve's flags.
func Flags(f *pflag.FlagSet) {
	f.String("data", "/var/lib/ingot", "data directory")
	f.StringSlice("interface", nil, "network interface where machines boot (repeatable)")
	f.String("dhcp", "", "authoritative, proxy or off (default: proxy, and authoritative where no other server can be)")
	f.String("admin-listen", "127.0.0.1:7470", "address of the API")
	f.String("log-level", "info", "debug, info, warn or error")
}

var flagKeys = map[string]string{"data": "data", "interface": "interfaces", "dhcp": "dhcp", "admin-listen": "admin.listen", "log-level": "log.level"}

// badValue is a value that can't be right: the key, and what is wrong with it in words.
type badValue struct{ key, problem string }

func (b *badValue) Error() string { return b.key + ": " + b.problem }

func (b *badValue) Unwrap() error { return inventory.ErrInvalid }

func bad(key, format string, args ...any) error { return &badValue{key, fmt.Sprintf(format, args...)} }

func (c *Config) check() error {
	switch inventory.DHCPMode(c.DHCP) {
	case "", inventory.DHCPAuthoritative, inventory.DHCPProxy, inventory.DHCPOff:
	default:
		return bad("dhcp", "%q (want authoritative, proxy or off)", c.DHCP)
	}
	if scheme, _, _ := strings.Cut(c.Database, "://"); c.Database != "" && scheme != "postgres" && scheme != "postgresql" {
		return bad("database", "it is no PostgreSQL URL (want postgres://USER@HOST/NAME, or nothing for the SQLite file in data)") // it may hold a password
	}
	if _, err := netip.ParseAddrPort(c.Admin.Listen); err != nil {
		return bad("admin.listen", "%q (want ADDRESS:PORT, like 127.0.0.1:7470)", c.Admin.Listen)
	}
	if _, err := level(c.Log.Level); err != nil {
		return bad("log.level", "%q (want debug, info, warn or error)", c.Log.Level)
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		return bad("log.format", "%q (want text or json)", c.Log.Format)
	}
	return errors.Join(c.Machine.check(), c.Limits.check(), c.Images.check(), c.BootEnvironment.check())
}

func (m Machine) check() error {
	if u, err := url.Parse(m.URL); err != nil || m.URL != "" && (u.Scheme != "http" || u.Host == "" || strings.Trim(u.Path, "/") != "") {
		return bad("machine.url", "%q (want http://HOST:PORT)", m.URL)
	}
	for _, p := range []struct {
		key       string
		port, min int
	}{{"machine.http_port", m.HTTPPort, 1}, {"machine.tls_port", m.TLSPort, 1}, {"machine.offer_port", m.OfferPort, 1},
		{"machine.advertised_http_port", m.AdvertisedHTTPPort, 0}, {"machine.netconsole_port", m.NetconsolePort, 0}} {
		if p.port < p.min || p.port > 65535 {
			return bad(p.key, "%d (want a port from %d to 65535)", p.port, p.min)
		}
	}
	return nil
}
