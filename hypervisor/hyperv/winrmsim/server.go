package winrmsim

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"io"
	"log"
	"mime"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
)

// Options of a simulated service; the zero value is a server as Windows installs it, with
// Negotiate only, for the user "user" with the password "pass".
type Options struct {
	// Handler does the work of processes; nil ends each with 0.
	Handler        Handler
	User, Password string
	// Basic is on (service\Auth\Basic, which is off at first); NoNegotiate turns
	// Negotiate off.
	Basic, NoNegotiate bool
	// StrictBinding is CbtHardeningLevel Strict.
	StrictBinding bool
	// LoginEachRequest forgets a connection's login after each request.
	LoginEachRequest bool
	// ClientCertificates that are mapped to the user.
	ClientCertificates []*x509.Certificate
	// Denied: logins succeed and each operation is refused, as for a user that is not in
	// Remote Management Users.
	Denied bool

	// MaxEnvelope in bytes; 0 is 512,000 (MaxEnvelopeSizekb 500).
	MaxEnvelope int
	// MaxShells of the user, MaxProcesses that run in a shell, MaxOperations of the user
	// over the lives of its shells; 0 is 30, 25 and 1500.
	MaxShells, MaxProcesses, MaxOperations int
	// ChunkBytes is the most that one Receive hands out; 0 is what fits.
	ChunkBytes int
}

// Server is a simulated WinRM service.
type Server struct {
	options Options
	http    *httptest.Server
	ctx     context.Context
	stop    context.CancelFunc
	works   sync.WaitGroup
	record  recorder
	breaks  breaker

	mu         sync.Mutex
	shells     map[string]*shell
	operations int
	logins     int
	refusals   int
}

// New starts a server. Close it.
func New(o Options) *Server {
	o.User, o.Password = cmp.Or(o.User, "user"), cmp.Or(o.Password, "pass")
	o.MaxEnvelope = cmp.Or(o.MaxEnvelope, 512000)
	o.MaxShells, o.MaxProcesses, o.MaxOperations = cmp.Or(o.MaxShells, 30), cmp.Or(o.MaxProcesses, 25), cmp.Or(o.MaxOperations, 1500)
	if o.Handler == nil {
		o.Handler = func(context.Context, Process) int { return 0 }
	}
	s := &Server{options: o, shells: map[string]*shell{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.http = httptest.NewUnstartedServer(s)
	s.http.Config.ConnContext = withLink
	s.http.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.http.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	s.http.StartTLS()
	return s
}

// Close ends the server and all processes, and waits for them.
func (s *Server) Close() {
	s.ForgetShells()
	s.stop()
	s.http.CloseClientConnections()
	s.http.Close()
	s.works.Wait()
}

// Host is the server's address with its port.
func (s *Server) Host() string { return strings.TrimPrefix(s.http.URL, "https://") }

// URL is the service's.
func (s *Server) URL() string { return s.http.URL + "/wsman" }

// Certificate is the server's, which no system knows.
func (s *Server) Certificate() *x509.Certificate { return s.http.Certificate() }

// Thumbprint is the certificate's SHA-256 in hex.
func (s *Server) Thumbprint() string {
	sum := sha256.Sum256(s.http.Certificate().Raw)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// Shells is how many are open.
func (s *Server) Shells() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.shells)
}

// Logins is how many succeeded.
func (s *Server) Logins() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins
}

// Refusals is how many logins failed that showed something.
func (s *Server) Refusals() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refusals
}

// ForgetShells ends all shells, as their idle timeout or a restart of the service does.
func (s *Server) ForgetShells() {
	s.mu.Lock()
	gone := s.shells
	s.shells, s.operations = map[string]*shell{}, 0
	s.mu.Unlock()
	for _, sh := range gone {
		sh.end()
	}
}

// DropConnections closes all connections of clients.
func (s *Server) DropConnections() { s.http.CloseClientConnections() }

// ServeHTTP is the service's HTTP side.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", "Microsoft-HTTPAPI/2.0")
	switch {
	case r.URL.Path != "/wsman": // HTTP.sys knows no other URL of the service
		w.WriteHeader(http.StatusNotFound)
	case r.Method != http.MethodPost: // DSP0226 annex C: envelopes are posted
		w.WriteHeader(http.StatusMethodNotAllowed)
	case !s.authorized(w, r):
	case !isSOAP(r.Header.Get("Content-Type")): // DSP0226 annex C: application/soap+xml
		w.WriteHeader(http.StatusUnsupportedMediaType)
	default:
		s.serveSOAP(w, r)
	}
}

// isSOAP takes UTF-8 only; the real one also takes UTF-16 (DSP0226 annex C).
func isSOAP(header string) bool {
	kind, params, err := mime.ParseMediaType(header)
	return err == nil && kind == "application/soap+xml" && (params["charset"] == "" || strings.EqualFold(params["charset"], "utf-8"))
}

func (s *Server) serveSOAP(w http.ResponseWriter, r *http.Request) {
	// HTTP.sys refuses what is larger than MaxEnvelopeSizekb before SOAP is looked at
	// (ansible-collections/ansible.windows#620).
	body, err := io.ReadAll(io.LimitReader(r.Body, int64(s.options.MaxEnvelope)+1))
	if err != nil || len(body) > s.options.MaxEnvelope {
		io.Copy(io.Discard, io.LimitReader(r.Body, 64<<20)) // or its client does not see the answer
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	q, fault := parse(body)
	if fault != nil {
		answer(w, q, nil, fault)
		return
	}
	n := s.record.begin(q, len(body))
	how := s.breaks.next(q.short())
	if how.before(r.Context(), w, q) {
		return
	}
	ok, fault := s.act(r.Context(), q)
	s.record.end(n, fault)
	how.after()
	answer(w, q, ok, fault)
}
