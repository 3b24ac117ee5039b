package agentapi

import (
	"context"
	"net/http"

	"ingot/inventory"
)

func (s *Server) facts(w http.ResponseWriter, r *http.Request, c caller) {
	var f inventory.Facts
	if err := readJSON(r, &f); err != nil {
		s.refuse(w, err, http.StatusBadRequest)
		return
	}
	f.At = s.Now()
	err := s.change(r.Context(), c, func(x inventory.Tx, m *inventory.Machine) error {
		return s.storeFacts(r.Context(), x, m, &f)
	})
	s.done(w, err)
}

func (s *Server) storeFacts(ctx context.Context, x inventory.Tx, m *inventory.Machine, f *inventory.Facts) error {
	if contradiction := m.Identity.Contradicts(f.Identity()); contradiction != "" {
		return inventory.Conflict("facts of %s: %s", m.Name, contradiction)
	}
	var old *inventory.Facts
	if m.Status.FactsVersion > 0 {
		before, err := x.Facts(ctx, m.ID, 0)
		if err != nil {
			return err
		}
		old = before
	}
	version, err := x.AddFacts(ctx, m.ID, f)
	if err != nil {
		return err
	}
	m.Identity.Absorb(f.Identity())
	m.Status.SecureBoot, m.Status.Firmware = f.Firmware.SecureBoot, f.Firmware.Mode
	m.Status.Agent.FactsAt = s.Now()
	if version == m.Status.FactsVersion {
		return nil
	}
	m.Status.FactsVersion = version
	return s.event(ctx, x, m, inventory.FactsRead{Version: version, Summary: f.Summary(), Changes: f.Changes(old)})
}
