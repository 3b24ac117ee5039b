package daemon

import (
	"errors"
	"time"

	"ingot/images/bucket"
)

// Bucket is where several servers share their images; without an endpoint nowhere.
type Bucket struct {
	// Endpoint is https://HOST[:PORT] of an S3-compatible service, Name the bucket, Prefix a
	// folder in it.
	Endpoint string `yaml:"endpoint" mapstructure:"endpoint"`
	Name     string `yaml:"name" mapstructure:"name"`
	Prefix   string `yaml:"prefix" mapstructure:"prefix"`
	Region   string `yaml:"region" mapstructure:"region"`
	// PathStyle asks for ENDPOINT/NAME instead of NAME.ENDPOINT.
	PathStyle bool `yaml:"path_style" mapstructure:"path_style"`
	// CredentialsFile is in the form of ~/.aws/credentials, with a section [Profile]; without
	// one AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are taken.
	CredentialsFile string `yaml:"credentials_file" mapstructure:"credentials_file"`
	Profile         string `yaml:"profile" mapstructure:"profile"`
	CAFile          string `yaml:"ca_file" mapstructure:"ca_file"`
	// ServerName is what the other servers call this one; empty is the host's name.
	ServerName string `yaml:"server_name" mapstructure:"server_name"`
	// Interval is how often the bucket is looked at; what a server has that was silent for
	// ForgetAfter may be collected.
	Interval    time.Duration `yaml:"interval" mapstructure:"interval"`
	ForgetAfter time.Duration `yaml:"forget_after" mapstructure:"forget_after"`
}

func (b Bucket) options() bucket.Options {
	return bucket.Options{Endpoint: b.Endpoint, Bucket: b.Name, Prefix: b.Prefix, Region: b.Region, PathStyle: b.PathStyle,
		CredentialsFile: b.CredentialsFile, Profile: b.Profile, CAFile: b.CAFile}
}

// shortestForget is well above what a server needs to say that it is there.
const shortestForget = time.Hour

func (b Bucket) check() error {
	switch {
	case b.Interval < time.Second:
		return bad("images.bucket.interval", "%s (want 1s or more)", b.Interval)
	case b.ForgetAfter < shortestForget:
		return bad("images.bucket.forget_after", "%s (want %s or more)", b.ForgetAfter, shortestForget)
	case b.Endpoint == "" && b.Name != "":
		return bad("images.bucket.name", "%q without images.bucket.endpoint", b.Name)
	case b.Endpoint == "":
		return nil
	}
	var wrong *bucket.BadOption
	if err := b.options().Check(); errors.As(err, &wrong) {
		return bad("images.bucket."+wrong.Option, "%s", wrong.Problem)
	}
	return nil
}
