package guest

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"

	"ingot/inventory"
	"ingot/inventory/seed"
)

// ownDocument serves all four documents to who has the token.
func (s *Server) ownDocument(w http.ResponseWriter, r *http.Request) {
	machine, generation, err := s.signed(r)
	if err != nil {
		s.refuse(w, err)
		return
	}
	var m *inventory.Machine
	err = s.Store.View(r.Context(), func(x inventory.Tx) error {
		m, err = x.Machine(r.Context(), machine)
		return err
	})
	if err == nil && m.Spec.Generation != generation {
		err = inventory.ErrNotFound
	}
	if err != nil {
		s.refuse(w, err)
		return
	}
	s.document(w, r, m, true)
}

// documentByAddress serves what is not secret to the machine with that address.
func (s *Server) documentByAddress(w http.ResponseWriter, r *http.Request) {
	m, err := s.byAddress(r.Context(), source(r))
	if err != nil {
		s.refuse(w, err)
		return
	}
	s.document(w, r, m, false)
}

func (s *Server) document(w http.ResponseWriter, r *http.Request, m *inventory.Machine, secrets bool) {
	in := seed.Input{Machine: m}
	err := s.Store.View(r.Context(), func(x inventory.Tx) error {
		facts, err := x.Facts(r.Context(), m.ID, 0)
		if err == nil {
			in.NICs = facts.NICs
		}
		if err != nil && !errors.Is(err, inventory.ErrNotFound) {
			return err
		}
		if secrets {
			in.UserData, err = x.UserData(r.Context(), m.ID)
			in.PhoneHomeURL = s.BaseURL(r) + PhoneHomePath(s.Key, m.ID, m.Spec.Generation)
			return err
		}
		return nil
	})
	var docs seed.Documents
	if err == nil {
		docs, err = seed.Make(in)
	}
	if err != nil {
		s.refuse(w, err)
		return
	}
	byName := map[string][]byte{"meta-data": docs.MetaData, "vendor-data": docs.VendorData, "network-config": docs.NetworkConfig, "user-data": docs.UserData}
	data, ok := byName[r.PathValue("file")]
	if !ok {
		s.refuse(w, inventory.ErrNotFound)
		return
	}
	text(w, string(data))
}

func text(w http.ResponseWriter, s string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(s)) // the peer is gone: nobody to tell
}

// byAddress finds the one machine that was last known under an address.
func (s *Server) byAddress(ctx context.Context, ip netip.Addr) (*inventory.Machine, error) {
	if !ip.IsValid() {
		return nil, inventory.NotFound("machine at", "an unknown address")
	}
	var found *inventory.Machine
	err := s.Store.View(ctx, func(x inventory.Tx) error {
		ms, err := x.Machines(ctx)
		if err != nil {
			return err
		}
		for _, m := range ms {
			if m.Status.Address == ip && found != nil {
				return inventory.ErrNotFound
			}
			if m.Status.Address == ip {
				found = m
			}
		}
		return nil
	})
	if err == nil && found == nil {
		err = inventory.NotFound("machine at", ip.String())
	}
	return found, err
}

// ec2 serves the items that EC2-style clients ask for; what has no meaning here is not
// found.
func (s *Server) ec2(w http.ResponseWriter, r *http.Request) {
	m, err := s.byAddress(r.Context(), source(r))
	if err != nil {
		s.refuse(w, err)
		return
	}
	items := map[string]string{
		"":               "hostname\ninstance-id\nlocal-hostname\nlocal-ipv4\nmac\npublic-keys/",
		"hostname":       m.HostnameOrName(),
		"local-hostname": m.HostnameOrName(),
		"instance-id":    seed.InstanceID(m),
		"local-ipv4":     m.Status.Address.String(),
		"public-keys":    "0=ingot",
		"public-keys/0":  "openssh-key",

		"public-keys/0/openssh-key": strings.Join(m.Spec.SSHKeys, "\n"),
	}
	if len(m.Identity.MACs) > 0 {
		items["mac"] = string(m.Identity.MACs[0])
	}
	item, ok := items[strings.Trim(r.PathValue("item"), "/")]
	if !ok || (item == "" && len(m.Spec.SSHKeys) == 0) {
		s.refuse(w, inventory.ErrNotFound)
		return
	}
	text(w, item)
}

// noUserData: user data may hold secrets and an address proves nothing.
func noUserData(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "user data is not served by address; it is in the machine's seed", http.StatusNotFound)
}
