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

// VMs are the machines there are, by name.
func (s *Server) VMs() map[string]*simulator.VirtualMachine {
	all := map[string]*simulator.VirtualMachine{}
	for _, e := range s.registry().All("VirtualMachine") {
		all[e.Entity().Name] = e.(*simulator.VirtualMachine)
	}
	return all
}

// byUUID is the machine of an instance UUID.
func (s *Server) byUUID(uuid string) *simulator.VirtualMachine {
	for _, vm := range s.VMs() {
		if vm.Config.InstanceUuid == uuid {
			return vm
		}
	}
	return nil
}

// Unregister takes a machine out of the inventory and leaves its files.
func (s *Server) Unregister(uuid string) error {
	vm := s.byUUID(uuid)
	if vm == nil {
		return fmt.Errorf("no machine %s", uuid)
	}
	ctx := s.context()
	var fault *soap.Fault
	ctx.WithLock(vm, func() { fault = vm.UnregisterVM(ctx, &types.UnregisterVM{This: vm.Self}).Fault() })
	if fault != nil {
		return fmt.Errorf("unregister %s: %s", uuid, fault.String)
	}
	return nil
}

// Ask makes a machine ask a question, as vSphere does when a disk was moved or is full; an
// empty one is answered.
func (s *Server) Ask(uuid, text string) {
	vm, ctx := s.byUUID(uuid), s.context()
	ctx.WithLock(vm, func() {
		if text == "" {
			vm.Runtime.Question = nil
			return
		}
		ctx.Update(vm, []types.PropertyChange{{Name: "runtime.question", Val: types.VirtualMachineQuestionInfo{Id: "1", Text: text}}})
	})
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

// Many makes machines of an owner, quickly: they have a disk and a NIC less than real ones.
func (s *Server) Many(n int, owner string) error {
	ctx := s.context()
	pool := s.registry().Any("ResourcePool").(*simulator.ResourcePool)
	dc := s.registry().Any("Datacenter").(*simulator.Datacenter)
	f := s.registry().Get(dc.VmFolder).(*simulator.Folder)
	for i := range n {
		id := fmt.Sprintf("m-%d", i)
		config := types.VirtualMachineConfigSpec{Name: id, GuestId: "otherLinux64Guest", Files: &types.VirtualMachineFileInfo{VmPathName: "[LocalDS_0] " + id + "/" + id + ".vmx"},
			ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: "ingot.id", Value: id}, &types.OptionValue{Key: "ingot.owner", Value: owner}}}
		if _, fault := under(ctx, f, func() soap.HasFault {
			return f.CreateVMTask(ctx, &types.CreateVM_Task{This: f.Self, Config: config, Pool: pool.Self})
		}); fault != nil {
			return fmt.Errorf("make %s: %T", id, fault)
		}
	}
	return nil
}
