package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"
	"gopkg.in/yaml.v3"

	"ingot/inventory"
)

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
		return Config{}, undecoded(v, err)
	}
	if err := c.check(); err != nil {
		return Config{}, placed(v, file, flags, err)
	}
	return c, nil
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
		return inventory.Invalid("configuration file %s: %s", file, plain(data, err))
	}
	if err := dec.Decode(&strict); !errors.Is(err, io.EOF) {
		return inventory.Invalid("configuration file %s: there is a second document after ---: only one is read", file)
	}
	if err := checkEntries(file, data, strict); err != nil {
		return err
	}
	v.SetConfigFile(file)
	v.SetConfigType("yaml")
	if err := v.ReadConfig(bytes.NewReader(data)); err != nil {
		return inventory.Invalid("configuration file %s: %v", file, err)
	}
	return nil
}

// checkEntries checks the entries of lists, whose errors name the line.
func checkEntries(file string, data []byte, c Config) error {
	at := func(list string, i int, err error) error {
		if err == nil {
			return nil
		}
		return fmt.Errorf("configuration file %s: line %d: %w", file, entryLine(data, list, i), err)
	}
	var networks []inventory.Network
	names := map[string]bool{}
	for i, n := range c.Networks {
		net, err := n.Inventory()
		if err == nil && names[n.Name] {
			err = inventory.Invalid("network %s is there twice", n.Name)
		}
		if err == nil {
			err = net.CheckBeside(networks, func(string) string { return "an address belongs to one" })
		}
		if err := at("networks", i, err); err != nil {
			return err
		}
		names[n.Name], networks = true, append(networks, net)
	}
	clear(names)
	for i, n := range c.Nightly {
		_, err := n.plan()
		if err == nil && names[n.Name] {
			err = inventory.Invalid("nightly %s is there twice", n.Name)
		}
		names[n.Name] = true
		if err := at("nightly", i, err); err != nil {
			return err
		}
	}
	clear(names)
	for i, w := range c.Webhooks {
		err := w.hook().Check()
		if err == nil && names[w.Name] {
			err = inventory.Invalid("webhook %s is there twice", w.Name)
		}
		names[w.Name] = true
		if err := at("webhooks", i, err); err != nil {
			return err
		}
	}
	return nil
}

// otherVariables are INGOT_* variables that are not configuration of the server.
var otherVariables = []string{"INGOT_SERVER", "INGOT_TOKEN", "INGOT_AGENT", "INGOT_CACHE", "INGOT_LAB", "INGOT_TEST", "INGOT_HOST_SECRET", "INGOT_IMAGE_KEY_PASSWORD"}

func checkEnvironment(environ []string) error {
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		key, ok := strings.CutPrefix(name, "INGOT_")
		if !ok || value == "" || known(key) || hasPrefix(name, otherVariables) {
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
