package sim

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// Options of a simulated server; the zero value is a vCenter with one cluster.
type Options struct {
	// ESX is a standalone host.
	ESX bool
	// Machines that are there already, in each pool; they are nobody's.
	Machines int
	// Datastores; 0 is one.
	Datastores int
	// Lease is how long an upload lives without progress; 0 is 300 s, as at vCenter. It
	// is told to clients in whole seconds.
	Lease time.Duration
	// Idle is how long a session lives without a call; 0 is for ever.
	Idle time.Duration
	// User and Password that are let in; empty is "user" and "pass".
	User, Password string
}

// Server is a simulated server.
type Server struct {
	options Options
	model   *simulator.Model
	service *simulator.Service
	server  *simulator.Server
	calls   recorder
	breaks  breaker
	delays  sync.Map // method name to time.Duration
	holds   sync.Map // method name to chan struct{}
	cancels sync.Map // task to chan struct{}
	leases  sync.Map // lease's value to *lease
	tools   sync.Map // machine to bool
	denied  sync.Map // privilege to bool

	// work is held by whatever changes something: vcsim's objects race with each other
	// (a datastore's free space is written while its directory is read).
	work sync.Mutex

	mu       sync.Mutex
	sessions map[string]time.Time // key to last use
	tasks    int
	uploads  map[string]bool // files that were written over HTTP
}

// Start makes a server. Close it.
func Start(o Options) (*Server, error) {
	s := &Server{options: o, model: simulator.VPX(), sessions: map[string]time.Time{}, uploads: map[string]bool{}}
	if o.ESX {
		s.model = simulator.ESX()
	}
	s.model.Machine, s.model.Autostart = o.Machines, false
	if o.Datastores > 0 {
		s.model.Datastore = o.Datastores
	}
	if err := s.model.Create(); err != nil {
		s.model.Remove()
		return nil, fmt.Errorf("make simulated inventory: %w", err)
	}
	s.service = s.model.Service
	s.service.TLS = new(tls.Config)
	if o.User != "" {
		s.service.Listen = &url.URL{User: url.UserPassword(o.User, o.Password)}
	}
	s.model.Map().Handler = s.handle
	s.service.ServeMux = http.NewServeMux()
	s.service.ServeMux.HandleFunc("POST /sdk", s.serveSDK)
	s.service.ServeMux.HandleFunc("PUT /folder/{file...}", s.serveFile)
	s.service.ServeMux.HandleFunc("GET /folder/{file...}", s.serveFile)
	s.service.ServeMux.HandleFunc("POST /nfc/{lease}/{disk}", s.serveDisk)
	s.service.ServeMux.HandleFunc("PUT /nfc/{lease}/{disk}", s.serveDisk)
	s.server = s.service.NewServer()
	return s, nil
}

// Close ends the server and removes its files.
func (s *Server) Close() {
	s.leases.Range(func(_, l any) bool { l.(*lease).timer.Stop(); return true })
	s.server.Close()
	s.model.Remove()
}

// Host is the server's address and port.
func (s *Server) Host() string { return s.server.URL.Host }

// URL is the SOAP address, with user and password.
func (s *Server) URL() *url.URL { u := *s.server.URL; return &u }

// Thumbprint is the certificate's, SHA-256.
func (s *Server) Thumbprint() string { return soap.ThumbprintSHA256(s.server.Certificate()) }

// ShortThumbprint is the certificate's, SHA-1.
func (s *Server) ShortThumbprint() string { return soap.ThumbprintSHA1(s.server.Certificate()) }

// Expire ends all sessions, as an idle time or a restart of vCenter does.
func (s *Server) Expire() {
	s.mu.Lock()
	keys := s.sessions
	s.sessions = map[string]time.Time{}
	s.mu.Unlock()
	for key := range keys {
		s.terminate(key)
	}
}

func (s *Server) terminate(key string) {
	s.registry().SessionManager().TerminateSession(&simulator.Context{Session: &simulator.Session{}, Map: s.registry()},
		&types.TerminateSession{SessionId: []string{key}})
}

func (s *Server) registry() *simulator.Registry { return s.model.Map() }

// context is one for work that nobody called for; it owns the locks it takes.
func (s *Server) context() *simulator.Context {
	c := *s.service.Context
	return &c
}

// Dir is where a datastore's files are on this system.
func (s *Server) Dir(datastore string) string {
	for _, e := range s.registry().All("Datastore") {
		if ds := e.(*simulator.Datastore); ds.Name == datastore || datastore == "" {
			return ds.Summary.Url
		}
	}
	return ""
}

// file is where a file in vSphere's notation is on this system.
func (s *Server) file(name string) string {
	p := datastorePath(name)
	return filepath.Join(s.Dir(p.Datastore), p.Path)
}

// ESX tells whether the server is a standalone host.
func (s *Server) ESX() bool { return s.options.ESX }

// AddKeyProvider gives the server one, so that machines can have a TPM.
func (s *Server) AddKeyProvider(name string) error {
	m, ctx := s.registry().CryptoManager(), s.context()
	var fault *soap.Fault
	ctx.WithLock(m, func() {
		fault = m.RegisterKmipServer(ctx, &types.RegisterKmipServer{This: m.Self, Server: types.KmipServerSpec{
			ClusterId: types.KeyProviderId{Id: name}, Info: types.KmipServerInfo{Name: name, Address: "192.0.2.1", Port: 5696}}}).Fault()
	})
	if fault != nil {
		return fmt.Errorf("add key provider: %s", fault.String)
	}
	return nil
}
