package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"
	"gopkg.in/yaml.v3"

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
	Discover   bool      `yaml:"discover" mapstructure:"discover"`
	KernelArgs string    `yaml:"kernel_args" mapstructure:"kernel_args"`
	Admin      Admin     `yaml:"admin" mapstructure:"admin"`
	Machine    Machine   `yaml:"machine" mapstructure:"machine"`
	Log        Log       `yaml:"log" mapstructure:"log"`
	Limits     Limits    `yaml:"limits" mapstructure:"limits"`
	Networks   []Network `yaml:"networks" mapstructure:"networks"`
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
	TLSPort            int `yaml:"tls_port" mapstructure:"tls_port"`
	NetconsolePort     int `yaml:"netconsole_port" mapstructure:"netconsole_port"`
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
			return inventory.Invalid("%s: %s (want a time above zero, like 20s or 15m)", key, d)
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
	"data": "/var/lib/ingot", "database": "", "interfaces": []string{}, "dhcp": "", "discover": true, "kernel_args": "console=tty0 console=ttyS0,115200 panic=30",
	"admin.listen": "127.0.0.1:7470", "machine.http_port": 7480, "machine.advertised_http_port": 0, "machine.tls_port": 7443, "machine.netconsole_port": 6666,
	"log.level": "info", "log.format": "text",
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

// LoadConfig merges file (empty for none), variables and flags. Unknown keys and bad
// values are inventory.ErrInvalid and name file, line, key and value.
func LoadConfig(file string, flags *pflag.FlagSet) (Config, error) {
	v := viper.New()
	for key, value := range defaults {
		v.SetDefault(key, value)
	}
	v.SetEnvPrefix("INGOT")
	v.SetEnvKeyReplacer(strings.NewReplacer(".", "_"))
	v.AutomaticEnv()
	if err := checkEnvironment(os.Environ()); err != nil {
		return Config{}, err
	}
	if file != "" {
		if err := readFile(v, file); err != nil {
			return Config{}, err
		}
	}
	for name, key := range flagKeys {
		if flag := flags.Lookup(name); flag != nil {
			if err := v.BindPFlag(key, flag); err != nil {
				return Config{}, fmt.Errorf("bind flag %s: %w", name, err)
			}
		}
	}
	var c Config
	if err := v.UnmarshalExact(&c, viper.DecodeHook(mapstructure.ComposeDecodeHookFunc(
		mapstructure.StringToTimeDurationHookFunc(), mapstructure.StringToSliceHookFunc(",")))); err != nil {
		return Config{}, inventory.Invalid("configuration: %v", err)
	}
	return c, c.check()
}

// readFile checks the file strictly by itself first: yaml knows the lines.
func readFile(v *viper.Viper, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	var strict Config
	if err := dec.Decode(&strict); err != nil && !errors.Is(err, io.EOF) {
		return inventory.Invalid("configuration file %s: %s", file, plain(err))
	}
	for i, n := range strict.Networks {
		if _, err := n.Inventory(); err != nil {
			return inventory.Invalid("configuration file %s: line %d: %v", file, networkLine(data, i), err)
		}
	}
	v.SetConfigFile(file)
	v.SetConfigType("yaml")
	if err := v.ReadConfig(bytes.NewReader(data)); err != nil {
		return inventory.Invalid("configuration file %s: %v", file, err)
	}
	return nil
}

// plain says yaml's error in the file's words: "line 3: field dhpc not found in type
// daemon.Config" names a Go type that no user knows.
func plain(err error) string {
	var typed *yaml.TypeError
	if !errors.As(err, &typed) {
		return strings.TrimPrefix(err.Error(), "yaml: ")
	}
	var out []string
	for _, line := range typed.Errors {
		if where, rest, ok := strings.Cut(line, ": field "); ok {
			key, _, _ := strings.Cut(rest, " not found")
			line = where + ": unknown key " + key
		}
		out = append(out, line)
	}
	return strings.Join(out, "; ")
}

// networkLine finds the line of the i-th network.
func networkLine(data []byte, i int) int {
	var doc struct {
		Networks []yaml.Node `yaml:"networks"`
	}
	if yaml.Unmarshal(data, &doc) != nil || i >= len(doc.Networks) {
		return 0
	}
	return doc.Networks[i].Line
}

// otherVariables are INGOT_* variables that are not configuration of the server.
var otherVariables = []string{"INGOT_SERVER", "INGOT_TOKEN", "INGOT_AGENT", "INGOT_CACHE", "INGOT_LAB", "INGOT_TEST"}

func checkEnvironment(environ []string) error {
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		key, ok := strings.CutPrefix(name, "INGOT_")
		if !ok || known(key) || hasPrefix(name, otherVariables) {
			continue
		}
		return inventory.Invalid("variable %s is not known to ingot (its keys are those of the configuration file in capitals, like INGOT_ADMIN_LISTEN)", name)
	}
	return nil
}

func known(key string) bool {
	for k := range defaults {
		if strings.EqualFold(strings.ReplaceAll(k, ".", "_"), key) {
			return true
		}
	}
	return false
}

func hasPrefix(name string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

func (c *Config) check() error {
	switch inventory.DHCPMode(c.DHCP) {
	case "", inventory.DHCPAuthoritative, inventory.DHCPProxy, inventory.DHCPOff:
	default:
		return inventory.Invalid("dhcp: %q (want authoritative, proxy or off)", c.DHCP)
	}
	if _, err := netip.ParseAddrPort(c.Admin.Listen); err != nil {
		return inventory.Invalid("admin.listen: %q (want ADDRESS:PORT, like 127.0.0.1:7470)", c.Admin.Listen)
	}
	for key, port := range map[string]int{"machine.http_port": c.Machine.HTTPPort, "machine.tls_port": c.Machine.TLSPort} {
		if port < 1 || port > 65535 {
			return inventory.Invalid("%s: %d (want a port from 1 to 65535)", key, port)
		}
	}
	if _, err := level(c.Log.Level); err != nil {
		return err
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		return inventory.Invalid("log.format: %q (want text or json)", c.Log.Format)
	}
	return c.Limits.check()
}
