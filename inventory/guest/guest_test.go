package guest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
	"ingot/inventory/secret"
	"ingot/inventory/sqlstore"
)

var t0 = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

const userData = "#cloud-config\npassword: hunter2\n"

// room is a server with one machine of generation 3 that is known under 192.0.2.7.
type room struct {
	t     *testing.T
	store inventory.Store
	key   secret.Key
	mux   *http.ServeMux
	woken int
}

func newRoom(t *testing.T) *room {
	t.Helper()
	store, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "ingot.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	key, err := secret.Open(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	r := &room{t: t, store: store, key: key, mux: http.NewServeMux()}
	s := &Server{Store: store, Key: key, Now: func() time.Time { return t0 }, Wake: func() { r.woken++ },
		BaseURL: func(*http.Request) string { return "http://192.0.2.1:7480" }}
	s.Routes(r.mux.Handle)
	m := inventory.NewMachine("52:54:00:00:00:01", t0)
	m.ID, m.Name = "m-1", "web"
	m.Spec = inventory.Spec{Generation: 3, SSHKeys: []string{"ssh-ed25519 AAAA me"}, UserData: []byte(userData)}
	m.Status.Address = netip.MustParseAddr("192.0.2.7")
	other := inventory.NewMachine("52:54:00:00:00:02", t0)
	if err := store.Update(t.Context(), func(x inventory.Tx) error {
		return errors.Join(x.PutMachine(t.Context(), m), x.PutMachine(t.Context(), other))
	}); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *room) do(method, path, contentType, body string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.RemoteAddr = "192.0.2.7:4711"
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	w := httptest.NewRecorder()
	r.mux.ServeHTTP(w, req)
	return w
}

func (r *room) machine() (m *inventory.Machine, data []byte) {
	r.t.Helper()
	if err := r.store.View(r.t.Context(), func(x inventory.Tx) (err error) {
		if m, err = x.Machine(r.t.Context(), "web"); err != nil {
			return err
		}
		data, err = x.UserData(r.t.Context(), m.ID)
		return err
	}); err != nil {
		r.t.Fatal(err)
	}
	return m, data
}

const form = "application/x-www-form-urlencoded"

func TestPhoneHome(t *testing.T) {
	posted := url.Values{"instance_id": {"m-1-3"}, "hostname": {"web"}, "pub_key_ed25519": {"ssh-ed25519 BBBB root@web\n"}, "pub_key_rsa": {"N/A"}}.Encode()
	for _, c := range []struct {
		name, contentType, body string
	}{
		{"form", form, posted},
		{"JSON", "application/json", `{"instance_id":"m-1-3","hostname":"web","pub_key_ed25519":"ssh-ed25519 BBBB root@web\n"}`},
		{"JSON with a charset", "application/json; charset=utf-8", `{"instance_id":"m-1-3","hostname":"web","pub_key_ed25519":"ssh-ed25519 BBBB root@web"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRoom(t)
			w := r.do(http.MethodPost, PhoneHomePath(r.key, "m-1", 3), c.contentType, c.body)
			if w.Code != http.StatusNoContent || r.woken != 1 {
				t.Fatalf("%d %s, woken %d times", w.Code, w.Body, r.woken)
			}
			m, data := r.machine()
			want := &inventory.PhoneHome{Generation: 3, InstanceID: "m-1-3", Hostname: "web", Address: netip.MustParseAddr("192.0.2.7"),
				HostKeys: []string{"ssh-ed25519 BBBB root@web"}, At: t0}
			if d := cmp.Diff(want, m.Status.PhoneHome, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
				t.Errorf("phone-home (-want +got):\n%s", d)
			}
			if m.Status.AddressSource != "phone-home" || !m.Status.Beat.Equal(t0) {
				t.Errorf("status %+v", m.Status)
			}
			if len(data) != 0 {
				t.Errorf("user data after phone-home: %q", data)
			}
		})
	}
}

func TestPhoneHomeRefused(t *testing.T) {
	r := newRoom(t)
	right := PhoneHomePath(r.key, "m-1", 3)
	for _, c := range []struct {
		name, path, contentType, body string
		want                          int
	}{
		{"wrong token", strings.TrimSuffix(right, right[len(right)-4:]) + "AAAA", form, "", http.StatusNotFound},
		{"token of another generation", strings.Replace(right, "/3/", "/4/", 1), form, "", http.StatusNotFound},
		{"token of another machine", strings.Replace(right, "/m-1/", "/m-2/", 1), form, "", http.StatusNotFound},
		{"generation is no number", strings.Replace(right, "/3/", "/x/", 1), form, "", http.StatusNotFound},
		{"unknown machine", PhoneHomePath(r.key, "m-9", 3), form, "", http.StatusNotFound},
		{"old generation", PhoneHomePath(r.key, "m-1", 2), form, "", http.StatusConflict},
		{"other instance", right, form, "instance_id=m-1-2", http.StatusConflict},
		{"bad JSON", right, "application/json", `{"instance_id":`, http.StatusBadRequest},
		{"JSON of another shape", right, "application/json", `{"instance_id":7}`, http.StatusBadRequest},
		{"bad form", right, form, "a=%zz", http.StatusBadRequest},
		{"oversized form", right, form, "a=" + strings.Repeat("x", maxPhoneHomeBytes), http.StatusBadRequest},
		{"oversized JSON", right, "application/json", `{"hostname":"` + strings.Repeat("x", maxPhoneHomeBytes) + `"}`, http.StatusBadRequest},
	} {
		if w := r.do(http.MethodPost, c.path, c.contentType, c.body); w.Code != c.want {
			t.Errorf("%s: %d %q, want %d", c.name, w.Code, w.Body, c.want)
		}
	}
	if m, data := r.machine(); m.Status.PhoneHome != nil || r.woken > 0 || string(data) != userData {
		t.Errorf("a refused phone-home changed the machine: %+v, %q", m.Status.PhoneHome, data)
	}
}

// TestDocumentsByToken: who has the token gets everything.
func TestDocumentsByToken(t *testing.T) {
	r := newRoom(t)
	base := NoCloudPath(r.key, "m-1", 3)
	if w := r.do(http.MethodGet, base+"user-data", "", ""); w.Code != http.StatusOK || w.Body.String() != userData {
		t.Errorf("user-data: %d %q", w.Code, w.Body)
	}
	w := r.do(http.MethodGet, base+"vendor-data", "", "")
	if want := "http://192.0.2.1:7480" + PhoneHomePath(r.key, "m-1", 3); !strings.Contains(w.Body.String(), want) {
		t.Errorf("vendor-data without %s:\n%s", want, w.Body)
	}
	for _, name := range []string{"meta-data", "network-config"} {
		if w := r.do(http.MethodGet, base+name, "", ""); w.Code != http.StatusOK || w.Body.Len() == 0 {
			t.Errorf("%s: %d %q", name, w.Code, w.Body)
		}
	}
	for _, path := range []string{base + "secrets", NoCloudPath(r.key, "m-1", 2) + "user-data", strings.Replace(base, "/3/", "/4/", 1) + "user-data"} {
		if w := r.do(http.MethodGet, path, "", ""); w.Code != http.StatusNotFound || strings.Contains(w.Body.String(), "hunter2") {
			t.Errorf("%s: %d %q, want 404", path, w.Code, w.Body)
		}
	}
}

// TestDocumentsByAddress: an address proves nothing, so there is nothing secret.
func TestDocumentsByAddress(t *testing.T) {
	r := newRoom(t)
	w := r.do(http.MethodGet, "/nocloud/meta-data", "", "")
	if want := "instance-id: m-1-3\nlocal-hostname: web\n"; w.Code != http.StatusOK || !strings.HasPrefix(w.Body.String(), want) {
		t.Errorf("meta-data: %d %q", w.Code, w.Body)
	}
	for _, name := range []string{"user-data", "vendor-data", "network-config", "meta-data"} {
		w := r.do(http.MethodGet, "/nocloud/"+name, "", "")
		if body := w.Body.String(); strings.Contains(body, "hunter2") || strings.Contains(body, "phone-home") {
			t.Errorf("%s by address tells a secret: %q", name, body)
		}
	}
	for _, path := range []string{"/latest/user-data", "/2009-04-04/user-data"} {
		if w := r.do(http.MethodGet, path, "", ""); w.Code != http.StatusNotFound || strings.Contains(w.Body.String(), "hunter2") {
			t.Errorf("%s: %d %q", path, w.Code, w.Body)
		}
	}
}

func TestEC2Items(t *testing.T) {
	r := newRoom(t)
	for item, want := range map[string]string{
		"hostname": "web", "local-hostname": "web", "instance-id": "m-1-3", "local-ipv4": "192.0.2.7", "mac": "52:54:00:00:00:01",
		"public-keys/": "0=ingot", "public-keys/0/": "openssh-key", "public-keys/0/openssh-key": "ssh-ed25519 AAAA me",
	} {
		for _, version := range []string{"latest", "2009-04-04"} {
			if w := r.do(http.MethodGet, "/"+version+"/meta-data/"+item, "", ""); w.Code != http.StatusOK || w.Body.String() != want {
				t.Errorf("%s of %s: %d %q, want %q", item, version, w.Code, w.Body, want)
			}
		}
	}
	if w := r.do(http.MethodGet, "/latest/meta-data/iam/security-credentials", "", ""); w.Code != http.StatusNotFound {
		t.Errorf("unknown item: %d", w.Code)
	}
	if w := r.do(http.MethodGet, "/latest/meta-data/", "", ""); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "instance-id") {
		t.Errorf("list of items: %d %q", w.Code, w.Body)
	}
}

// TestStrangersGetNothing: an address that no machine, or that two machines have.
func TestStrangersGetNothing(t *testing.T) {
	r := newRoom(t)
	ask := func(from string) int {
		req := httptest.NewRequest(http.MethodGet, "/nocloud/meta-data", nil)
		req.RemoteAddr = from
		w := httptest.NewRecorder()
		r.mux.ServeHTTP(w, req)
		return w.Code
	}
	for _, from := range []string{"192.0.2.8:1", "@", ""} {
		if code := ask(from); code != http.StatusNotFound {
			t.Errorf("from %q: %d, want 404", from, code)
		}
	}
	if err := r.store.Update(t.Context(), func(x inventory.Tx) error { return sameAddress(t.Context(), x) }); err != nil {
		t.Fatal(err)
	}
	if code := ask("192.0.2.7:1"); code != http.StatusNotFound {
		t.Errorf("an address of two machines: %d, want 404", code)
	}
}

func sameAddress(ctx context.Context, x inventory.Tx) error {
	ms, err := x.Machines(ctx)
	if err != nil {
		return err
	}
	for _, m := range ms {
		m.Status.Address = netip.MustParseAddr("192.0.2.7")
		err = errors.Join(err, x.PutMachine(ctx, m))
	}
	return err
}

// FuzzPhoneHome: whatever is posted, the answer is no server error.
func FuzzPhoneHome(f *testing.F) {
	for _, c := range [][2]string{{form, "instance_id=i&hostname=h"}, {"application/json", `{"hostname":"h"}`}, {"multipart/form-data; boundary=x", "--x--"}, {"", "%"}} {
		f.Add(c[0], c[1])
	}
	f.Fuzz(func(t *testing.T, contentType, body string) {
		req := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		req.Header.Set("Content-Type", contentType)
		_, err := readPhoneHome(httptest.NewRecorder(), req)
		if err != nil && !errors.Is(err, inventory.ErrInvalid) {
			t.Errorf("%q: %v", body, err)
		}
		_, _ = io.Copy(io.Discard, req.Body)
	})
}
