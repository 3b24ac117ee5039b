package winrmsim

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"net"
	"net/http"
	"strings"
	"sync"
)

// mutual is the Authorization of clients that show a certificate (DSP0226 annex C, the
// profile wsman:secprofile/https/mutual).
const mutual = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"

// link is a client's connection; NTLM logs in connections (RFC 4559).
type link struct {
	mu    sync.Mutex
	login handshake
	in    bool
}

type linkKey struct{}

func withLink(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, linkKey{}, new(link))
}

// authorized lets a request in, or answers it with a 401 and the ways there are.
func (s *Server) authorized(w http.ResponseWriter, r *http.Request) bool {
	l, _ := r.Context().Value(linkKey{}).(*link)
	l.mu.Lock()
	defer l.mu.Unlock()
	way, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case way == "" && l.in:
		return true
	case way == "" || s.isRefused(way):
	case way == mutual:
		if s.knows(r.TLS.PeerCertificates) {
			return s.let()
		}
	case strings.EqualFold(way, "Basic"):
		user, password, _ := r.BasicAuth()
		if equal(user, s.options.User) && equal(password, s.options.Password) {
			return s.let()
		}
	default:
		challenge, in := s.negotiate(l, rest, r)
		l.in = in && !s.options.LoginEachRequest
		if in {
			return s.let()
		}
		if challenge != "" {
			w.Header().Add("WWW-Authenticate", way+" "+challenge)
			w.WriteHeader(http.StatusUnauthorized)
			return false
		}
	}
	l.in, l.login = false, handshake{}
	if way != "" {
		s.mu.Lock()
		s.refusals++
		s.mu.Unlock()
	}
	s.refuse(w)
	return false
}

// isRefused tells the ways that are off: Basic is unless it was turned on, and there is
// no Kerberos here (Installation and configuration for WinRM, service\Auth).
func (s *Server) isRefused(way string) bool {
	switch {
	case strings.EqualFold(way, "Basic"):
		return !s.options.Basic
	case strings.EqualFold(way, "Negotiate"), strings.EqualFold(way, "NTLM"):
		return s.options.NoNegotiate
	}
	return way != mutual
}

func (s *Server) refuse(w http.ResponseWriter) {
	if !s.options.NoNegotiate {
		w.Header().Add("WWW-Authenticate", "Negotiate")
	}
	if s.options.Basic {
		w.Header().Add("WWW-Authenticate", `Basic realm="WSMAN"`)
	}
	w.WriteHeader(http.StatusUnauthorized)
}

func (s *Server) let() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logins++
	return true
}

// negotiate goes one step: a challenge, or whether the client is in. Tokens are NTLM's,
// bare; SPNEGO around them is not understood.
func (s *Server) negotiate(l *link, token string, r *http.Request) (challenge string, in bool) {
	message, err := base64.StdEncoding.DecodeString(token)
	if err != nil || len(message) < negotiateLength {
		return "", false
	}
	if messageType(message) == 1 {
		l.login = handshake{}
		b, err := l.login.begin(message)
		if err != nil {
			return "", false
		}
		return base64.StdEncoding.EncodeToString(b), false
	}
	login := l.login
	l.login = handshake{}
	return "", login.finish(message, s.options.User, s.options.Password, s.binding(), s.options.StrictBinding) == nil
}

// binding is the MD5 of the channel's gss_channel_bindings_struct (RFC 2744 3.11) with
// tls-server-end-point (RFC 5929 4.1: SHA-256 of a certificate signed with SHA-256).
func (s *Server) binding() []byte {
	hash := sha256.Sum256(s.http.Certificate().Raw)
	data := append([]byte("tls-server-end-point:"), hash[:]...)
	b := binary.LittleEndian.AppendUint32(make([]byte, 16), uint32(len(data)))
	sum := md5.Sum(append(b, data...))
	return sum[:]
}

// knows tells whether the client showed one of the certificates that are mapped to a user.
func (s *Server) knows(shown []*x509.Certificate) bool {
	for _, c := range s.options.ClientCertificates {
		if len(shown) > 0 && bytes.Equal(c.Raw, shown[0].Raw) {
			return true
		}
	}
	return false
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
