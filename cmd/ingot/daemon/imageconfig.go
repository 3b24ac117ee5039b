package daemon

import (
	"fmt"
	"os"
	"strings"
	"time"

	"ingot/images/nightly"
	"ingot/images/sign"
	"ingot/inventory"
	"ingot/inventory/webhook"
)

// Images says how images are kept and trusted.
type Images struct {
	// SigningKey is a minisign secret key file; images are signed with it after their
	// boot test. SigningPasswordFile has its password, when it has one.
	SigningKey          string `yaml:"signing_key" mapstructure:"signing_key"`
	SigningPasswordFile string `yaml:"signing_password_file" mapstructure:"signing_password_file"`
	// TrustedKeys are minisign public keys or their files; with some, an image that none
	// of them signed is neither written nor sent to a host.
	TrustedKeys []string `yaml:"trusted_keys" mapstructure:"trusted_keys"`
	// Quota bounds the image store, like "200GB"; empty is no bound.
	Quota string `yaml:"quota" mapstructure:"quota"`
	// Keep is how many versions of each channel are kept, Grace how long each one is.
	Keep  int           `yaml:"keep" mapstructure:"keep"`
	Grace time.Duration `yaml:"grace" mapstructure:"grace"`
	// Collect removes what is neither kept nor used after each nightly build.
	Collect bool   `yaml:"collect" mapstructure:"collect"`
	Bucket  Bucket `yaml:"bucket" mapstructure:"bucket"`
}

func (i Images) check() error {
	if _, err := sign.LoadKeys(i.TrustedKeys); err != nil {
		return bad("images.trusted_keys", "%v", err)
	}
	if _, err := i.quotaBytes(); err != nil {
		return bad("images.quota", "%q (want a size like 200GB)", i.Quota)
	}
	if i.Keep < 1 {
		return bad("images.keep", "%d (want 1 or more)", i.Keep)
	}
	if i.Grace < 0 {
		return bad("images.grace", "%s (want 0s or more)", i.Grace)
	}
	return i.Bucket.check()
}

// quotaBytes is 0 for no bound.
func (i Images) quotaBytes() (int64, error) {
	if i.Quota == "" {
		return 0, nil
	}
	return inventory.ParseBytes(i.Quota)
}

// Nightly is a build that is done again and again.
type Nightly struct {
	Name string `yaml:"name" mapstructure:"name"`
	// Recipe is a built-in name or a file; Set its variables.
	Recipe string            `yaml:"recipe" mapstructure:"recipe"`
	Set    map[string]string `yaml:"set" mapstructure:"set"`
	// Times are cron's five fields.
	Times string `yaml:"times" mapstructure:"times"`
	// Channel is moved to a version that passed; empty is nightly.
	Channel   string        `yaml:"channel" mapstructure:"channel"`
	TimeLimit time.Duration `yaml:"time_limit" mapstructure:"time_limit"`
	Promote   []Promotion   `yaml:"promote" mapstructure:"promote"`
}

// Promotion moves a channel by rule: to the newest version that was in From for After and
// passed the boot test Passes times in each mode.
type Promotion struct {
	From   string        `yaml:"from" mapstructure:"from"`
	To     string        `yaml:"to" mapstructure:"to"`
	After  time.Duration `yaml:"after" mapstructure:"after"`
	Passes int           `yaml:"passes" mapstructure:"passes"`
}

// defaultTimeLimit is enough for a build and three boots under emulation.
const defaultTimeLimit = 3 * time.Hour

// plan is the scheduler's form. It is inventory.ErrInvalid for what can't be right.
func (n Nightly) plan() (nightly.Plan, error) {
	if err := inventory.CheckName(n.Name); err != nil {
		return nightly.Plan{}, err
	}
	if err := reserved(n.Name); err != nil {
		return nightly.Plan{}, err
	}
	times, err := nightly.ParseTimes(n.Times)
	if err != nil {
		return nightly.Plan{}, fmt.Errorf("nightly %s: %w", n.Name, err)
	}
	if n.Recipe == "" {
		return nightly.Plan{}, inventory.Invalid("nightly %s: no recipe", n.Name)
	}
	if n.TimeLimit < 0 {
		return nightly.Plan{}, inventory.Invalid("nightly %s: time_limit %s", n.Name, n.TimeLimit)
	}
	if n.TimeLimit == 0 {
		n.TimeLimit = defaultTimeLimit
	}
	for _, channel := range append([]string{n.channel()}, n.promoted()...) {
		if err := inventory.CheckName(channel); err != nil {
			return nightly.Plan{}, inventory.Invalid("nightly %s: channel %q", n.Name, channel)
		}
	}
	return nightly.Plan{Name: n.Name, Times: times, Limit: n.TimeLimit}, nil
}

func (n Nightly) channel() string {
	if n.Channel == "" {
		return "nightly"
	}
	return n.Channel
}

// passes is how often the rules want a version to have passed.
func (n Nightly) passes() int {
	most := 1
	for _, p := range n.Promote {
		most = max(most, p.Passes)
	}
	return most
}

func (n Nightly) promoted() (channels []string) {
	for _, p := range n.Promote {
		channels = append(channels, p.From, p.To)
	}
	return channels
}

// Webhook is told of events.
type Webhook struct {
	Name string `yaml:"name" mapstructure:"name"`
	URL  string `yaml:"url" mapstructure:"url"`
	// Events are patterns of kinds, like image.*; none is all.
	Events []string `yaml:"events" mapstructure:"events"`
	// SecretFile has the secret that signs the posts.
	SecretFile string `yaml:"secret_file" mapstructure:"secret_file"`
}

func (w Webhook) hook() webhook.Hook { return webhook.Hook{Name: w.Name, URL: w.URL, Kinds: w.Events} }

// hooks are the webhooks with their secrets.
func (c Config) hooks() ([]webhook.Hook, error) {
	var all []webhook.Hook
	for _, w := range c.Webhooks {
		h := w.hook()
		if w.SecretFile != "" {
			secret, err := os.ReadFile(w.SecretFile)
			if err != nil {
				return nil, fmt.Errorf("webhook %s: read secret: %w", w.Name, err)
			}
			h.Secret = strings.TrimSpace(string(secret))
		}
		all = append(all, h)
	}
	return all, nil
}
