package pxe

import (
	"net/http"

	"ingot/inventory"
	"ingot/pxe/agentapi"
	"ingot/pxe/httpboot"
)

// mount puts the boot routes on the machine listener: scripts by MAC, and the boot set.
func (s *Server) mount(h *httpboot.Server, f httpFiles) {
	h.Handle("GET /boot/{mac}/script.ipxe", http.HandlerFunc(s.ipxe))
	h.Handle("/boot/", http.StripPrefix("/boot/", httpboot.FileHandler(f, f, s.cfg.Now)))
}

// ipxe serves the script of one machine.
func (s *Server) ipxe(w http.ResponseWriter, r *http.Request) {
	mac, err := inventory.ParseMAC(r.PathValue("mac"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	script, err := s.cfg.Table.IPXE(mac, agentapi.LocalAddr(r))
	if err != nil {
		s.log.Error("render script", "mac", mac, "err", err)
		http.Error(w, "server error", http.StatusInternalServerError)
		return
	}
	s.cfg.Recorder.SawScript(mac, "ipxe", script)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Length", lengthText(script.Text))
	_, _ = w.Write(script.Text) // the peer is gone: nobody to tell
}
