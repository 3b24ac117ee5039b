package bucket_test

import (
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ingot/images/bucket"
	"ingot/images/bucket/buckettest"
	"ingot/inventory"
)

// TestCheck: what is wrong with a bucket, as the administrator is told.
func TestCheck(t *testing.T) {
	g := startGateway(t)
	dir := t.TempDir()
	wrong, unknown := filepath.Join(dir, "wrong"), filepath.Join(dir, "unknown")
	for path, text := range map[string]string{wrong: "[default]\naws_access_key_id = " + buckettest.AccessKey + "\naws_secret_access_key = wr0ng\n",
		unknown: "[other]\naws_access_key_id = nobody\naws_secret_access_key = wr0ng\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ignore := func(which string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			return r.Method == http.MethodPut && r.Header.Get(which) != "" && strings.Contains(r.URL.Path, "/check-")
		}
	}
	for name, c := range map[string]struct {
		change    func(*bucket.Options)
		intercept func(http.ResponseWriter, *http.Request) bool
		class     error
		say       string
	}{
		"right":         {class: nil},
		"no bucket":     {change: func(o *bucket.Options) { o.Bucket = "nobody" }, class: inventory.ErrNotFound, say: "make it, or set images.bucket.name"},
		"wrong secret":  {change: func(o *bucket.Options) { o.CredentialsFile = wrong }, class: inventory.ErrDenied, say: "the secret key is wrong"},
		"unknown key":   {change: func(o *bucket.Options) { o.CredentialsFile, o.Profile = unknown, "other" }, class: inventory.ErrDenied, say: "doesn't know the access key"},
		"other region":  {change: func(o *bucket.Options) { o.Region = "eu-west-1" }, class: inventory.ErrInvalid, say: "set images.bucket.region"},
		"nobody there":  {change: func(o *bucket.Options) { o.Endpoint = "http://127.0.0.1:1" }, class: bucket.ErrUnreachable, say: "it can't be reached"},
		"If-None-Match": {intercept: ignore("If-None-Match"), class: inventory.ErrUnsupported, say: "the endpoint ignores If-None-Match"},
		"If-Match":      {intercept: ignoreSecond("If-Match"), class: inventory.ErrUnsupported, say: "the endpoint ignores If-Match"},
		"read only": {intercept: func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut {
				buckettest.Fail(w, 403, "AccessDenied")
			}
			return r.Method == http.MethodPut
		}, class: inventory.ErrDenied, say: "the key may not do that"},
	} {
		t.Run(name, func(t *testing.T) {
			g.Intercept(c.intercept)
			o := options(g)
			if c.change != nil {
				c.change(&o)
			}
			s, err := bucket.Open(o)
			if err != nil {
				t.Fatal(err)
			}
			s.Server = "id-check"
			err = s.Check(t.Context())
			if !errors.Is(err, c.class) || !strings.Contains(fmt.Sprint(err), c.say) {
				t.Errorf("check: %v, want %q", err, c.say)
			}
			if strings.Contains(fmt.Sprint(err), "wr0ng") || strings.Contains(fmt.Sprint(err), buckettest.SecretKey) {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
	if left := objects(t, g, "."); len(left) != 0 {
		t.Errorf("the check left %v", left)
	}
}

// ignoreSecond answers the second write with the condition by itself, as an endpoint that
// does not look at it.
func ignoreSecond(condition string) func(http.ResponseWriter, *http.Request) bool {
	n := 0
	return func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && r.Header.Get(condition) != "" {
			n++
		}
		return n == 2 && r.Method == http.MethodPut
	}
}

func TestCAFile(t *testing.T) {
	g := startGateway(t)
	front := httptest.NewTLSServer(http.HandlerFunc(g.Forward))
	defer front.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for ca, want := range map[string]string{file: "", "": "certificate"} {
		o := options(g)
		o.Endpoint, o.CAFile = front.URL, ca
		s, err := bucket.Open(o)
		if err != nil {
			t.Fatal(err)
		}
		s.Server = "id-check"
		if err := s.Check(t.Context()); (err == nil) != (want == "") || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("check with CA file %q: %v", ca, err)
		}
	}
}

func TestBadOptions(t *testing.T) {
	dir := t.TempDir()
	empty, half := filepath.Join(dir, "empty"), filepath.Join(dir, "half")
	for path, text := range map[string]string{empty: "", half: "[default]\naws_secret_access_key = wr0ng\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	good := bucket.Options{Endpoint: "https://s3.example.com", Bucket: "racks", Region: "us-east-1", PathStyle: true, CredentialsFile: half}
	for name, c := range map[string]struct {
		change func(*bucket.Options)
		want   string
	}{
		"no scheme":      {func(o *bucket.Options) { o.Endpoint = "s3.example.com" }, "endpoint: "},
		"a path":         {func(o *bucket.Options) { o.Endpoint = "https://a/b" }, "endpoint: "},
		"a password":     {func(o *bucket.Options) { o.Endpoint = "https://k:wr0ng@a" }, "endpoint: "},
		"a bad escape":   {func(o *bucket.Options) { o.Endpoint = "https://k:wr0ng@a%" }, "endpoint: "},
		"no bucket":      {func(o *bucket.Options) { o.Bucket = "" }, "name: "},
		"prefix":         {func(o *bucket.Options) { o.Prefix = "../x" }, "prefix: "},
		"no file":        {func(o *bucket.Options) { o.CredentialsFile = "/no/such" }, "credentials_file: there is no file /no/such"},
		"no profile":     {func(o *bucket.Options) { o.CredentialsFile = empty }, "credentials_file: "},
		"half a profile": {func(*bucket.Options) {}, "has no section [default] with aws_access_key_id"},
		"nothing at all": {func(o *bucket.Options) { o.CredentialsFile = "" }, "no credentials for the bucket"},
	} {
		o := good
		c.change(&o)
		_, err := bucket.Open(o)
		if !errors.Is(err, inventory.ErrInvalid) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "wr0ng") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestTrust: a channel does not follow to an image that is not signed as it must be.
func TestTrust(t *testing.T) {
	g := startGateway(t)
	a, b := newServer(t, g, "a"), newServer(t, g, "b")
	b.Trust = func(_ []byte, signatures map[string][]byte) error {
		if len(signatures) == 0 {
			return fmt.Errorf("nobody signed it: %w", inventory.ErrDenied)
		}
		return nil
	}
	image := a.add(t, disk(t, 1, 1), "1")
	a.point(t, "stable", image)
	if err := b.Look(t.Context()); !errors.Is(err, inventory.ErrDenied) || b.channel(t, "stable") != "" {
		t.Errorf("look at an unsigned image: %v; channel %q", err, b.channel(t, "stable"))
	}
	if err := a.store.PutSignature(t.Context(), image.Digest, "KEY", []byte("signature")); err != nil {
		t.Fatal(err)
	}
	a.look(t)
	b.look(t)
	if got := b.channel(t, "stable"); got != image.Digest {
		t.Errorf("channel at b: %q", got)
	}
}
