package powershell

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/bodgit/ntlmssp"

	"ingot/inventory"
)

// mutualTLS is the Authorization of requests whose client shows a certificate (DSP0226
// annex C).
const mutualTLS = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"

// authorized posts an envelope with a login. A request that is answered with 401 was not
// looked at, so that it can be sent again. A secret that was refused is not shown again for
// a while.
func (l *lane) authorized(ctx context.Context, body []byte) (*response, error) {
	switch l.config.Authentication {
	case Certificate:
		return l.admitted(l.post(ctx, body, mutualTLS))
	case Basic:
		password, err := l.password()
		if err != nil {
			return nil, err
		}
		if err := l.refusal.of(password); err != nil {
			return nil, err
		}
		return l.noted(password)(l.admitted(l.post(ctx, body, "Basic "+base64.StdEncoding.EncodeToString([]byte(l.config.User+":"+password)))))
	}
	if _, in := l.latest(); in {
		if res, err := l.post(ctx, body, ""); err != nil || res.status != http.StatusUnauthorized {
			return res, err
		}
	}
	return l.negotiate(ctx, body)
}

func (l *lane) password() (string, error) {
	b, err := l.config.Password()
	if err != nil {
		return "", fmt.Errorf("password for %s: %w", l.config.User, err)
	}
	return string(b), nil
}

// noted keeps in mind what comes of a login with a password.
func (l *lane) noted(password string) func(*response, error) (*response, error) {
	return func(res *response, err error) (*response, error) {
		l.refusal.note(password, err)
		return res, err
	}
}

// negotiate logs in by NTLM, with the envelope on its last leg (RFC 4559, MS-NTHT). A
// connection that is lost between the legs is tried once more.
func (l *lane) negotiate(ctx context.Context, body []byte) (*response, error) {
	for try := 0; ; try++ {
		password, err := l.password()
		if err == nil {
			err = l.refusal.of(password)
		}
		if err != nil {
			return nil, err
		}
		login, err := l.ntlm(password)
		if err != nil {
			return nil, err
		}
		hello, err := login.Authenticate(nil, nil)
		if err != nil {
			return nil, fmt.Errorf("begin NTLM login: %w", err)
		}
		res, err := l.post(ctx, nil, "Negotiate "+base64.StdEncoding.EncodeToString(hello))
		if err != nil {
			return nil, err
		}
		token, err := respond(login, res)
		if err != nil {
			return nil, l.denied(res, err.Error())
		}
		first, _ := l.latest()
		res, err = l.post(ctx, body, "Negotiate "+token)
		if err != nil {
			return nil, err
		}
		last, _ := l.latest()
		if res.status == http.StatusUnauthorized && first != last && try == 0 {
			continue
		}
		l.loggedIn(last)
		return l.noted(password)(l.admitted(res, nil))
	}
}

// ntlm is the client's side of one login.
func (l *lane) ntlm(password string) (*ntlmssp.Client, error) {
	domain, user, found := strings.Cut(l.config.User, `\`)
	if !found {
		domain, user = "", l.config.User
	}
	login, err := ntlmssp.NewClient(ntlmssp.SetUserInfo(user, password), ntlmssp.SetDomain(domain))
	if err != nil {
		return nil, fmt.Errorf("begin NTLM login: %w", err)
	}
	return login, nil
}

// respond answers the challenge in a 401. What can't be a challenge is not given to the
// library, which trusts its lengths.
func respond(login *ntlmssp.Client, res *response) (token string, err error) {
	if res.status != http.StatusUnauthorized {
		return "", fmt.Errorf("it answered an NTLM login with HTTP status %d", res.status)
	}
	var challenge []byte
	for _, h := range res.header.Values("WWW-Authenticate") {
		if way, rest, _ := strings.Cut(h, " "); strings.EqualFold(way, "Negotiate") && rest != "" {
			if challenge, err = base64.StdEncoding.DecodeString(strings.TrimSpace(rest)); err != nil {
				return "", fmt.Errorf("read NTLM challenge: %w", err)
			}
		}
	}
	if challenge == nil {
		return "", errors.New("it does not take NTLM")
	}
	message, err := authenticate(login, challenge, bindings(res.tls))
	return base64.StdEncoding.EncodeToString(message), err
}

// authenticate is the library's, whose panics over a broken challenge are errors.
func authenticate(login *ntlmssp.Client, challenge []byte, b *ntlmssp.ChannelBindings) (message []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("read NTLM challenge: %v", p)
		}
	}()
	message, err = login.Authenticate(challenge, b)
	if err != nil {
		return nil, fmt.Errorf("read NTLM challenge: %w", err)
	}
	return message, nil
}

// bindings bind a login to its TLS channel, without which nobody in between can use it
// (RFC 5929 4, tls-server-end-point).
func bindings(state *tls.ConnectionState) *ntlmssp.ChannelBindings {
	if state == nil || len(state.PeerCertificates) == 0 {
		return nil
	}
	cert := state.PeerCertificates[0]
	h := endpointHash(cert.SignatureAlgorithm).New()
	h.Write(cert.Raw)
	return &ntlmssp.ChannelBindings{ApplicationData: append([]byte(ntlmssp.TLSServerEndPoint+":"), h.Sum(nil)...)}
}

// endpointHash is that of the certificate's signature; SHA-256 stands in for weaker ones.
func endpointHash(a x509.SignatureAlgorithm) crypto.Hash {
	switch a {
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
		return crypto.SHA384
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS:
		return crypto.SHA512
	}
	return crypto.SHA256
}

// admitted makes an error of an answer that refuses the login.
func (l *lane) admitted(res *response, err error) (*response, error) {
	if err != nil || res.status != http.StatusUnauthorized {
		return res, err
	}
	l.loggedIn(nil)
	advice := "user or password is wrong, or the account is locked or may not log in over the network"
	switch l.config.Authentication {
	case Basic:
		advice = "user or password is wrong, the user is of a domain, or Basic is off: winrm set winrm/config/service/auth @{Basic=\"true\"}"
	case Certificate:
		advice = "the certificate is mapped to no local user, or is off: winrm set winrm/config/service/auth @{Certificate=\"true\"}"
	}
	return nil, l.denied(res, advice)
}

func (l *lane) denied(res *response, why string) error {
	who := l.config.User
	if l.config.Authentication == Certificate {
		who = "the client certificate"
	}
	var offered []string
	for _, h := range res.header.Values("WWW-Authenticate") {
		way, _, _ := strings.Cut(h, " ")
		offered = append(offered, way)
	}
	return refused{fmt.Errorf("%s refuses to log in %s with %s (it offers: %s): %s: %w", l.config.Host, who, l.config.Authentication,
		strings.Join(offered, ", "), why, inventory.ErrDenied)}
}
