package guest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"ingot/inventory"
	"ingot/inventory/secret"
	"ingot/inventory/seed"
)

// purpose keeps these tokens apart from others that the key signs.
const purpose = "guest"

// maxPhoneHomeBytes bounds what an installed system may post: its host keys are 2 kB.
const maxPhoneHomeBytes = 64 << 10

// PhoneHomePath is where the installed system of a generation reports.
func PhoneHomePath(key secret.Key, machine string, generation int64) string {
	return "/phone-home/" + path(key, machine, generation)
}

// NoCloudPath is where the system of a generation finds its own documents, with user
// data; it ends in a slash, as a seedfrom URL must.
func NoCloudPath(key secret.Key, machine string, generation int64) string {
	return "/nocloud/" + path(key, machine, generation) + "/"
}

func path(key secret.Key, machine string, generation int64) string {
	g := strconv.FormatInt(generation, 10)
	return machine + "/" + g + "/" + key.Sign(purpose, machine, g)
}

// Server holds the handlers.
type Server struct {
	Store inventory.Store
	Key   secret.Key
	Now   func() time.Time
	Log   *slog.Logger
	// Wake is called after a phone-home. May be nil.
	Wake func()
	// BaseURL makes the machine listener's URL from the address asked; for the
	// phone-home URL in vendor-data.
	BaseURL func(r *http.Request) string
}

// Routes mounts the handlers with the function given (http.ServeMux.Handle's shape).
func (s *Server) Routes(handle func(pattern string, h http.Handler)) {
	handle("POST /phone-home/{machine}/{generation}/{token}", http.HandlerFunc(s.phoneHome))
	handle("GET /nocloud/{machine}/{generation}/{token}/{file}", http.HandlerFunc(s.ownDocument))
	handle("GET /nocloud/{file}", http.HandlerFunc(s.documentByAddress))
	handle("GET /latest/meta-data/{item...}", http.HandlerFunc(s.ec2))
	handle("GET /2009-04-04/meta-data/{item...}", http.HandlerFunc(s.ec2))
	handle("GET /latest/user-data", http.HandlerFunc(noUserData))
	handle("GET /2009-04-04/user-data", http.HandlerFunc(noUserData))
}

// signed returns the machine that the request's path names and proves.
func (s *Server) signed(r *http.Request) (machine string, generation int64, err error) {
	machine, g := r.PathValue("machine"), r.PathValue("generation")
	if !s.Key.Check(r.PathValue("token"), purpose, machine, g) {
		return "", 0, fmt.Errorf("token: %w", inventory.ErrDenied)
	}
	generation, err = strconv.ParseInt(g, 10, 64)
	if err != nil {
		return "", 0, inventory.Invalid("generation %q", g)
	}
	return machine, generation, nil
}

func (s *Server) phoneHome(w http.ResponseWriter, r *http.Request) {
	machine, generation, err := s.signed(r)
	if err != nil {
		s.refuse(w, err)
		return
	}
	p, err := readPhoneHome(w, r)
	if err != nil {
		s.refuse(w, err)
		return
	}
	p.Generation, p.At, p.Address = generation, s.Now(), source(r)
	if err := s.record(r.Context(), machine, p); err != nil {
		s.refuse(w, err)
		return
	}
	if s.Wake != nil {
		s.Wake()
	}
	w.WriteHeader(http.StatusNoContent)
}

// readPhoneHome takes cloud-init's form or a JSON object with the same names.
func readPhoneHome(w http.ResponseWriter, r *http.Request) (*inventory.PhoneHome, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxPhoneHomeBytes)
	get := r.FormValue
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, inventory.Invalid("phone-home: %v", err)
		}
		var fields map[string]string
		if err := json.Unmarshal(data, &fields); err != nil {
			return nil, inventory.Invalid("phone-home: %v", err)
		}
		get = func(k string) string { return fields[k] }
	} else if err := r.ParseForm(); err != nil {
		return nil, inventory.Invalid("phone-home: %v", err)
	}
	p := &inventory.PhoneHome{InstanceID: get("instance_id"), Hostname: get("hostname")}
	for _, kind := range []string{"pub_key_rsa", "pub_key_ecdsa", "pub_key_ed25519"} {
		if key := strings.TrimSpace(get(kind)); key != "" && key != "N/A" {
			p.HostKeys = append(p.HostKeys, key)
		}
	}
	return p, nil
}

// record stores the phone-home of the generation that stands; the word of an older
// installation is ErrConflict. The user data in the store is scrubbed: it was used.
func (s *Server) record(ctx context.Context, machine string, p *inventory.PhoneHome) error {
	return s.Store.Update(ctx, func(x inventory.Tx) error {
		m, err := x.Machine(ctx, machine)
		if err != nil {
			return err
		}
		if m.Spec.Generation != p.Generation {
			return inventory.Conflict("phone-home of generation %d; machine %s is at %d", p.Generation, m.Name, m.Spec.Generation)
		}
		if want := seed.InstanceID(m); p.InstanceID != "" && p.InstanceID != want {
			return inventory.Conflict("phone-home of instance %s; machine %s is %s", p.InstanceID, m.Name, want)
		}
		m.Spec.UserData = []byte{}
		m.Status.PhoneHome = p
		if !p.Address.IsLoopback() { // QEMU's user network: the guest's own address is unknown
			m.Status.Address, m.Status.AddressSource = p.Address, "phone-home"
		}
		m.Status.Beat, m.Updated = p.At, p.At
		return x.PutMachine(ctx, m)
	})
}

func source(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

func (s *Server) refuse(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, inventory.ErrNotFound), errors.Is(err, inventory.ErrDenied):
		status, err = http.StatusNotFound, inventory.ErrNotFound
	case errors.Is(err, inventory.ErrConflict):
		status = http.StatusConflict
	case errors.Is(err, inventory.ErrInvalid):
		status = http.StatusBadRequest
	default:
		if s.Log != nil {
			s.Log.Error("guest request", "err", err)
		}
		err = errors.New("server error")
	}
	http.Error(w, err.Error(), status)
}
