package pxe

import (
	"net"
	"net/http"
	"net/netip"

	"ingot/inventory"
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
	script, err := s.cfg.Table.IPXE(mac, LocalAddr(r))
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

// LocalAddr is the server's address that a request came to.
func LocalAddr(r *http.Request) netip.Addr {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return netip.Addr{}
	}
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}
