package daemon

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"

	"ingot/inventory"
)

// load reads a configuration with flags as they were typed, and no variables.
func load(t *testing.T, file string, args ...string) (Config, error) {
	t.Helper()
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "INGOT_") {
			t.Setenv(name, "") // an empty variable is none; it comes back after the test
		}
	}
	return loadHere(t, file, args...)
}

// loadHere is load with the variables that are set.
func loadHere(t *testing.T, file string, args ...string) (Config, error) {
	t.Helper()
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	Flags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return LoadConfig(file, flags)
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ingot.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaults(t *testing.T) {
	c, err := load(t, "")
	if err != nil {
		t.Fatal(err)
	}
	want := Config{Data: "/var/lib/ingot", Interfaces: []string{}, Discover: true, LocalHost: true, KernelArgs: "console=tty0 console=ttyS0,115200 panic=30",
		Admin: Admin{"127.0.0.1:7470"}, Machine: Machine{HTTPPort: 7480, TLSPort: 7443, OfferPort: 7444, NetconsolePort: 6666}, Log: Log{"info", "text"},
		Limits: Limits{20 * time.Second, 20 * time.Minute, 20 * time.Minute}, Images: Images{TrustedKeys: []string{}, Keep: 3, Grace: 24 * time.Hour, Collect: true,
			Bucket: Bucket{Region: "us-east-1", PathStyle: true, Profile: "default", Interval: time.Minute, ForgetAfter: 7 * 24 * time.Hour}},
		BootEnvironment: BootEnvironment{Modes: []string{}, TimeLimit: 2 * time.Hour}}
	if d := cmp.Diff(want, c); d != "" {
		t.Errorf("defaults (-want +got):\n%s", d)
	}
}

// TestPrecedence: flag before variable before file before default.
func TestPrecedence(t *testing.T) {
	file := write(t, "dhcp: off\nlog: {level: warn}\nadmin: {listen: '127.0.0.1:1111'}\nmachine: {http_port: 1234}\ninterfaces: [eth0, eth1]\nlimits: {boot: 5m}\n")
	t.Setenv("INGOT_LOG_LEVEL", "error")
	t.Setenv("INGOT_ADMIN_LISTEN", "127.0.0.1:2222")
	t.Setenv("INGOT_DISCOVER", "false")
	t.Setenv("INGOT_LIMITS_FIRST_BOOT", "7m")
	c, err := loadHere(t, file, "--admin-listen", "127.0.0.1:3333")
	if err != nil {
		t.Fatal(err)
	}
	for key, got := range map[string][2]any{
		"dhcp from the file":           {c.DHCP, "off"},
		"interfaces from the file":     {fmt.Sprint(c.Interfaces), "[eth0 eth1]"},
		"http_port from the file":      {c.Machine.HTTPPort, 1234},
		"boot from the file":           {c.Limits.Boot, 5 * time.Minute},
		"log level from the variable":  {c.Log.Level, "error"},
		"discover from the variable":   {c.Discover, false},
		"first_boot from the variable": {c.Limits.FirstBoot, 7 * time.Minute},
		"listen from the flag":         {c.Admin.Listen, "127.0.0.1:3333"},
		"tls_port by default":          {c.Machine.TLSPort, 7443},
	} {
		if got[0] != got[1] {
			t.Errorf("%s = %v, want %v", key, got[0], got[1])
		}
	}
	t.Setenv("INGOT_INTERFACES", "eth2,eth3")
	if c, err = loadHere(t, file); err != nil || fmt.Sprint(c.Interfaces) != "[eth2 eth3]" {
		t.Errorf("interfaces from the variable = %v, %v", c.Interfaces, err)
	}
	if c, err = loadHere(t, file, "--interface", "eth4"); err != nil || fmt.Sprint(c.Interfaces) != "[eth4]" {
		t.Errorf("interfaces from the flag = %v, %v", c.Interfaces, err)
	}
}

// TestBadFile: each error names the file, the line, the key and the value.
func TestBadFile(t *testing.T) {
	const network = "networks:\n  - name: rack\n    subnet: 192.0.2.0/24\n"
	for text, want := range map[string]string{
		"data: /x\ndhpc: proxy\n":                                                 "line 2: unknown key dhpc",
		"admin:\n  listn: 127.0.0.1:1\n":                                          "line 2: unknown key listn",
		network + "    pool: [a]\n":                                               "line 4: unknown key pool",
		"data: /x\n\ndhcp: maybe\n":                                               `line 3: dhcp: "maybe" (want authoritative, proxy or off)`,
		"admin:\n  listen: somewhere\n":                                           `line 2: admin.listen: "somewhere"`,
		"machine:\n  tls_port: 70000\n":                                           "line 2: machine.tls_port: 70000",
		"images:\n  quota: lots\n":                                                `line 2: images.quota: "lots"`,
		"images:\n  bucket:\n    endpoint: s3.example.com\n":                      `line 3: images.bucket.endpoint: "s3.example.com" (want https://HOST[:PORT]`,
		"images:\n  bucket: {endpoint: 'https://k:s@a'}\n":                        `line 2: images.bucket.endpoint: "https://k:xxxxx@a"`,
		"images:\n  bucket:\n    endpoint: https://a\n    name: A_B\n":            `line 4: images.bucket.name: "A_B"`,
		"images:\n  bucket:\n    name: racks\n":                                   `line 3: images.bucket.name: "racks" without images.bucket.endpoint`,
		"images:\n  bucket: {endpoint: 'https://a', name: abc, prefix: ../up}\n":  `line 2: images.bucket.prefix: "../up"`,
		"images:\n  bucket:\n    interval: 0s\n":                                  "line 3: images.bucket.interval: 0s",
		"images:\n  bucket:\n    forget_after: 1m\n":                              "line 3: images.bucket.forget_after: 1m0s",
		"images:\n  bucket:\n    secret_key: abc\n":                               "line 3: unknown key secret_key",
		"images:\n  keep: 0\n":                                                    "line 2: images.keep: 0",
		"images:\n  trusted_keys: [nonsense]\n":                                   "line 2: images.trusted_keys: public key",
		"data: /x\nnightly:\n  - {name: web, recipe: web, times: daily}\n":        `line 3: nightly web: times "daily"`,
		"nightly:\n  - {name: web, times: '0 2 * * *'}\n":                         "line 2: nightly web: no recipe",
		"nightly:\n  - {name: web, recipe: web, tims: '0 2 * * *'}\n":             "line 2: unknown key tims",
		"nightly:\n  - &n {name: a, recipe: b, times: '0 2 * * *'}\n  - *n\n":     "line 3: nightly a is there twice",
		"webhooks:\n  - {name: x, url: 'ftp://user:pass@a/'}\n":                   `line 2: webhook x: URL "ftp://a/"`,
		"machine:\n  http_port: 0\n":                                              "line 2: machine.http_port: 0",
		"machine:\n  netconsole_port: -1\n":                                       "line 2: machine.netconsole_port: -1",
		"machine:\n  http_port: eighty\n":                                         `line 2: machine.http_port: "eighty" (want a whole number)`,
		"discover: perhaps\n":                                                     `line 1: discover: "perhaps" (want true or false)`,
		"log:\n  level: loud\n":                                                   `line 2: log.level: "loud" (want debug, info, warn or error)`,
		"log:\n  format: xml\n":                                                   `line 2: log.format: "xml"`,
		"limits:\n  boot: 0s\n":                                                   "line 2: limits.boot: 0s",
		"limits:\n  boot: soon\n":                                                 `line 2: limits.boot: "soon" (want a time like 20s or 1h)`,
		"limits: {silent: 20 s, boot: 1h}\n":                                      `line 1: limits.silent: "20 s" (want a time like 20s or 1h)`,
		"networks:\n- name: rack\n  lease_time: one hour and a half\n":            `line 3: networks[0].lease_time: "one hou..." (want a time like 20s or 1h)`,
		"nightly: {name: web}\n":                                                  `line 1: nightly: keys are given (want a list)`,
		"admin: [x]\n":                                                            `line 1: admin: a list is given (want keys of its own)`,
		"[x]\n":                                                                   `line 1: a list is given (want keys of its own)`,
		"interfaces: eth1\n":                                                      `line 1: interfaces: "eth1" (want a list)`,
		"images:\n\tkeep: 3\n":                                                    `line 2: a tab, or another character that nothing can begin with (indent by spaces)`,
		"admin: 7470\n":                                                           "line 1: admin",
		"data: /x\ndata: /y\n":                                                    "line 2",
		"data: [\n":                                                               "line 1",
		"data: /x\n---\ndata: /y\n":                                               "second document",
		"networks:\n  - name: rack\n    subnet: 192.0.2.0\n":                      `line 2: network rack: subnet: "192.0.2.0"`,
		network + "  - name: rack\n    subnet: 10.0.0.0/8\n":                      `line 4: network rack is there twice`,
		network + "    gateway: router\n":                                         `line 2: network rack: gateway: "router"`,
		network + "    dns: [2001:db8::1]\n":                                      "line 2: network rack: dns 2001:db8::1",
		network + "    pools: [192.0.2.9]\n":                                      `line 2: network rack: pool "192.0.2.9"`,
		network + "    lease_time: long\n":                                        `line 4: networks[0].lease_time: "long"`,
		network + "    reservations: [{mac: x, ip: 192.0.2.1}]\n":                 `line 2: network rack: reservation "x"`,
		network + "  - name: other\n    subnet: 10.0.0.0/8\n    dhcp: on\n":       `line 4: network other: dhcp "on"`,
		"data: /x\ndatabase: mysql://me:pw@db/ingot\n":                            "line 2: database: it is no PostgreSQL URL",
		"boot_environment:\n  times: daily\n":                                     `line 2: boot_environment.times: times "daily"`,
		"boot_environment:\n  modes: [pxe]\n":                                     `line 2: boot_environment.modes: boot mode "pxe" (want bios, uefi or secureboot)`,
		"boot_environment:\n  mirror: deb.debian.org\n":                           `line 2: boot_environment.mirror: "deb.debian.org" (want http:// or https://)`,
		"boot_environment:\n  time_limit: 0s\n":                                   "line 2: boot_environment.time_limit: 0s",
		"nightly:\n  - {name: boot-environment, recipe: tiny, times: '@daily'}\n": "line 2: nightly boot-environment: the name is taken",
	} {
		file := write(t, text)
		_, err := load(t, file)
		if !errors.Is(err, inventory.ErrInvalid) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%q\n got %v\nwant %s with %q", text, err, file, want)
		}
	}
}

func TestBadVariablesAndFlags(t *testing.T) {
	for _, c := range []struct{ variable, value, want string }{
		{"INGOT_DATTA", "/x", "variable INGOT_DATTA is not known"},
		{"INGOT_DHCP", "maybe", `variable INGOT_DHCP: dhcp: "maybe"`},
		{"INGOT_MACHINE_HTTP_PORT", "eighty", `variable INGOT_MACHINE_HTTP_PORT: "eighty"`},
		{"INGOT_MACHINE_HTTP_PORT", "70000", "variable INGOT_MACHINE_HTTP_PORT: machine.http_port: 70000"},
		{"INGOT_DISCOVER", "perhaps", `variable INGOT_DISCOVER: "perhaps"`},
		{"INGOT_LIMITS_SILENT", "soon", `variable INGOT_LIMITS_SILENT: "soon"`},
	} {
		t.Run(c.variable+"="+c.value, func(t *testing.T) {
			t.Setenv(c.variable, c.value)
			if _, err := loadHere(t, ""); !errors.Is(err, inventory.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	for want, args := range map[string][]string{
		`flag --dhcp: dhcp: "maybe"`:             {"--dhcp", "maybe"},
		`flag --admin-listen: admin.listen: "x"`: {"--admin-listen", "x"},
		`flag --log-level: log.level: "loud"`:    {"--log-level", "loud"},
	} {
		if _, err := load(t, write(t, "dhcp: off\n"), args...); !errors.Is(err, inventory.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
}

func TestOtherVariablesAreLeftAlone(t *testing.T) {
	t.Setenv("INGOT_SERVER", "http://192.0.2.1:7470")
	t.Setenv("INGOT_TOKEN", "secret")
	if _, err := loadHere(t, ""); err != nil {
		t.Error(err)
	}
}

func TestMissingFile(t *testing.T) {
	if _, err := load(t, "/no/such/ingot.yaml"); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "/no/such/ingot.yaml") {
		t.Errorf("%v", err)
	}
	if c, err := load(t, write(t, "")); err != nil || c.Data == "" {
		t.Errorf("an empty file: %+v, %v", c, err)
	}
}

const example = "../../../scripts/ingot.example.yaml"

// TestExample: the documented example is right, has every key, and shows the defaults
// where it says so.
func TestExample(t *testing.T) {
	c, err := load(t, example)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := load(t, "")
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Networks) != 1 || len(c.Interfaces) != 1 {
		t.Fatalf("example = %+v", c)
	}
	n, err := c.Networks[0].Inventory()
	if err != nil || n.LeaseTime != time.Hour || n.Reservations[0].IP != netip.MustParseAddr("192.0.2.10") {
		t.Errorf("network = %+v, %v", n, err)
	}
	if len(c.Nightly) != 1 || len(c.Nightly[0].Promote) != 2 || len(c.Webhooks) != 1 {
		t.Fatalf("example = %+v", c)
	}
	c.Networks, c.Interfaces, c.Nightly, c.Webhooks = nil, plain.Interfaces, nil, nil
	if d := cmp.Diff(plain, c); d != "" {
		t.Errorf("the example's other values are not the defaults (-want +got):\n%s", d)
	}
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := yaml.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	everyKey(t, "", reflect.TypeFor[Config](), doc)
}

// everyKey looks for each field's key in the document.
func everyKey(t *testing.T, path string, typ reflect.Type, doc map[string]any) {
	t.Helper()
	for i := range typ.NumField() {
		f := typ.Field(i)
		key := f.Tag.Get("yaml")
		v, ok := doc[key]
		if !ok {
			t.Errorf("the example has no %s%s", path, key)
			continue
		}
		if list, isList := v.([]any); isList && f.Type.Elem().Kind() == reflect.Struct {
			everyKey(t, path+key+"[].", f.Type.Elem(), list[0].(map[string]any))
		}
		if f.Type.Kind() == reflect.Struct {
			everyKey(t, path+key+".", f.Type, v.(map[string]any))
		}
	}
}

// TestEveryKeyHasAVariable: defaults, which say what variables there are, and the
// type's keys are the same.
func TestEveryKeyHasAVariable(t *testing.T) {
	var walk func(path string, typ reflect.Type)
	walk = func(path string, typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			key := path + f.Tag.Get("mapstructure")
			switch {
			case f.Type.Kind() == reflect.Struct:
				walk(key+".", f.Type)
			case key == "networks", key == "nightly", key == "webhooks":
			default:
				if _, ok := defaults[key]; !ok {
					t.Errorf("key %s has no default, so INGOT_* can't set it", key)
				}
			}
			if f.Tag.Get("yaml") != f.Tag.Get("mapstructure") {
				t.Errorf("key %s has two spellings", key)
			}
		}
	}
	walk("", reflect.TypeFor[Config]())
}

func TestParsePool(t *testing.T) {
	want := inventory.AddressRange{First: netip.MustParseAddr("192.0.2.100"), Last: netip.MustParseAddr("192.0.2.199")}
	if got, err := ParsePool(" 192.0.2.100 - 192.0.2.199 "); err != nil || got != want {
		t.Errorf("ParsePool = %+v, %v", got, err)
	}
	for _, bad := range []string{"", "-", "192.0.2.1", "192.0.2.1-x", "192.0.2.1/24"} {
		if _, err := ParsePool(bad); !errors.Is(err, inventory.ErrInvalid) {
			t.Errorf("ParsePool(%q): %v", bad, err)
		}
	}
}

// TestBootEnvironmentTimes: no mirror and no times is no schedule.
func TestBootEnvironmentTimes(t *testing.T) {
	for text, want := range map[string]string{
		"": "",
		"boot_environment: {mirror: 'http://deb.debian.org/debian'}":                   "30 3 * * *",
		"boot_environment: {times: '@weekly', mirror: 'http://deb.debian.org/debian'}": "@weekly",
		"boot_environment: {times: '0 4 * * *'}":                                       "0 4 * * *",
	} {
		c, err := load(t, write(t, text+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		plan, ok, err := c.BootEnvironment.plan()
		if err != nil || ok != (want != "") || plan.Times.String() != want {
			t.Errorf("%q: %v, %v, %v", text, plan, ok, err)
		}
	}
}
