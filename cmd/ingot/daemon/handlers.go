package daemon

import (
	"fmt"
	"net/http"
	"net/netip"

	"ingot/inventory/api"
	"ingot/inventory/api/rest"
	"ingot/inventory/guest"
	"ingot/pxe/agentapi"
	"ingot/pxe/metal"
)

// machineURL is the machine listener as a machine reaches it.
func (d *Daemon) machineURL(local netip.Addr) string {
	return "http://" + netip.AddrPortFrom(local, uint16(d.cfg.Machine.advertised())).String()
}

// mountMachine adds what machines may ask for over plain HTTP.
func (d *Daemon) mountMachine(handle func(string, http.Handler)) {
	handle("/images/", d.images.images.Handler())
	d.guestServer().Routes(handle)
}

func (d *Daemon) guestServer() *guest.Server {
	return &guest.Server{Store: d.store, Key: d.key, Now: d.now, Log: d.log.With("component", "guest"), Wake: func() { d.lifecycle.Wake() },
		BaseURL: func(r *http.Request) string { return d.machineURL(agentapi.LocalAddr(r)) }}
}

func (d *Daemon) agentHandler() http.Handler {
	orders := &metal.Orders{Inventory: d.id, Now: d.now, Trust: d.images.trust, PhoneHomeURL: func(local netip.Addr, machine string, generation int64) string {
		return d.machineURL(local) + guest.PhoneHomePath(d.key, machine, generation)
	}}
	s := &agentapi.Server{Store: d.store, Orders: orders, Logs: d.kernel, Now: d.now, Log: d.log.With("component", "agentapi"),
		NetconsolePort: d.cfg.Machine.NetconsolePort, Saw: d.recorder.Saw, Wake: d.lifecycle.Wake}
	return s.Handler()
}

func (d *Daemon) adminHandler() http.Handler {
	s := &rest.Server{Store: d.store, Lifecycle: d.lifecycle, Tokens: d.tokens, Images: d.images, Rollouts: d.rollouts, Schedules: d.schedules, BootSets: d.sets, Hosts: hostDesk{d}, Logs: d.journal, Now: d.now,
		Log:     d.log.With("component", "api"),
		Version: api.Version{Version: d.version, Inventory: d.id, Started: d.started}, NetworksChanged: d.networks.apply, DHCPNow: d.networks.mode}
	mux := http.NewServeMux()
	mux.Handle("/api/", s.Handler())
	mux.Handle("GET /metrics", d.metrics())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.Handle("GET /readyz", &d.ready)
	return mux
}
