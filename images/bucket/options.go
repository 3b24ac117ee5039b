package bucket

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/s3utils"

	"ingot/inventory"
)

// Options say which bucket, and with which key.
type Options struct {
	// Endpoint is https://HOST[:PORT], or http:// where the line needs no secrecy.
	Endpoint, Bucket string
	// Prefix is a folder in the bucket; several sets of servers may share one bucket.
	Prefix string
	Region string
	// PathStyle asks ENDPOINT/BUCKET instead of BUCKET.ENDPOINT.
	PathStyle bool
	// CredentialsFile is in the form of ~/.aws/credentials, with a section [Profile]. Empty
	// takes AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.
	CredentialsFile, Profile string
	// CAFile has the certificates that the endpoint's must come from; empty is the
	// system's.
	CAFile string
}

// BadOption is an option that can't be right. It is an inventory.ErrInvalid.
type BadOption struct{ Option, Problem string }

func (b *BadOption) Error() string { return b.Option + ": " + b.Problem }

// Unwrap returns the class.
func (b *BadOption) Unwrap() error { return inventory.ErrInvalid }

// Check finds what can't be right, as a [*BadOption]. It reads no file.
func (o Options) Check() error {
	if _, err := o.endpoint(); err != nil {
		return err
	}
	if err := s3utils.CheckValidBucketNameStrict(o.Bucket); err != nil {
		return &BadOption{"name", fmt.Sprintf("%q: %s", o.Bucket, lower(err))}
	}
	if p := strings.Trim(o.Prefix, "/"); p != "" && (!fs.ValidPath(p) || s3utils.CheckValidObjectNamePrefix(p) != nil) {
		return &BadOption{"prefix", fmt.Sprintf("%q (want a folder like racks/one)", o.Prefix)}
	}
	return nil
}

func lower(err error) string {
	text := err.Error()
	return strings.ToLower(text[:1]) + text[1:]
}

func (o Options) endpoint() (*url.URL, error) {
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.User != nil || u.RawQuery != "" {
		shown := o.Endpoint
		if err == nil {
			shown = u.Redacted()
		} else if strings.Contains(shown, "@") {
			shown = "..." // a password may be in it
		}
		return nil, &BadOption{"endpoint", fmt.Sprintf("%q (want https://HOST[:PORT]; the key comes from images.bucket.credentials_file)", shown)}
	}
	return u, nil
}

// Where names the bucket for people.
func (o Options) Where() string {
	return strings.TrimRight(strings.TrimRight(o.Endpoint, "/")+"/"+o.Bucket+"/"+strings.Trim(o.Prefix, "/"), "/")
}

// keys reads the credentials. Neither of the two ways is inventory.ErrInvalid that says so.
func (o Options) keys() (credentials.Provider, error) {
	value := credentials.Value{AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"),
		SessionToken: os.Getenv("AWS_SESSION_TOKEN")}
	if o.CredentialsFile != "" {
		profile := o.Profile
		if profile == "" {
			profile = "default"
		}
		var err error
		if value, err = readCredentials(o.CredentialsFile, profile); err != nil {
			return nil, err
		}
	}
	if value.AccessKeyID == "" || value.SecretAccessKey == "" {
		return nil, inventory.Invalid("no credentials for the bucket: name a file (images.bucket.credentials_file, in the form of ~/.aws/credentials), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	value.SignerType = credentials.SignatureV4
	return &credentials.Static{Value: value}, nil
}

func readCredentials(file, profile string) (credentials.Value, error) {
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return credentials.Value{}, &BadOption{"credentials_file", fmt.Sprintf("there is no file %s", file)}
	}
	value, err := credentials.NewFileAWSCredentials(file, profile).GetWithContext(nil)
	if err != nil || value.AccessKeyID == "" || value.SecretAccessKey == "" {
		// What the parser says may quote the file.
		return value, &BadOption{"credentials_file", fmt.Sprintf("%s has no section [%s] with aws_access_key_id and aws_secret_access_key", file, profile)}
	}
	return value, nil
}

// answerTime is how long an endpoint may think about a request before it counts as gone.
const answerTime = 30 * time.Second

func (o Options) transport(secure bool) (*http.Transport, error) {
	t, err := minio.DefaultTransport(secure)
	if err != nil {
		return nil, err
	}
	t.ResponseHeaderTimeout = answerTime
	if o.CAFile == "" {
		return t, nil
	}
	if !secure {
		return nil, &BadOption{"ca_file", "the endpoint is http, which has no certificates"}
	}
	text, err := os.ReadFile(o.CAFile)
	if err != nil {
		return nil, &BadOption{"ca_file", err.Error()}
	}
	t.TLSClientConfig.RootCAs = x509.NewCertPool()
	if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(text) {
		return nil, &BadOption{"ca_file", o.CAFile + " has no certificate in PEM"}
	}
	return t, nil
}
