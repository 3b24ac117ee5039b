package vsphere

import (
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
	"golang.org/x/sync/singleflight"

	"ingot/inventory"
)

const (
	// keepAlive is well under vCenter's idle limit of 30 minutes (vSphere Client and Web
	// Services SDK: config.vmacore.soap.sessionTimeout).
	keepAlive = 10 * time.Minute
	// refusedTime is how long a login that was refused is not tried again.
	refusedTime = 5 * time.Minute
	// closeTime is how long a logout may take.
	closeTime = 3 * time.Second
	userAgent = "Ingot"
)

// session is a round tripper that logs in again when the server has forgotten us, and
// sends the refused call once more. A call that was refused for want of a session was not
// carried out (NotAuthenticated is thrown before the method runs), so that is safe.
type session struct {
	soap     *soap.Client
	manager  types.ManagedObjectReference
	user     string
	password func() ([]byte, error)
	// logins counts the logins; what belongs to a session (views, collectors) is kept
	// with the count it was made under.
	logins atomic.Int64
	// key is the session's, as the server names it.
	key   atomic.Value
	again singleflight.Group
	// refused is when a login was refused for the last time.
	refused atomic.Pointer[refusal]
}

// refusal is a login that was refused. Another try in vain may lock the account (vSphere
// Authentication, "Edit the vCenter Single Sign-On Lockout Policy": five within 180 s).
type refusal struct {
	err error
	at  time.Time
}

// RoundTrip implements soap.RoundTripper.
func (s *session) RoundTrip(ctx context.Context, req, res soap.HasFault) error {
	before := s.logins.Load()
	err := s.soap.RoundTrip(ctx, req, res)
	var fault *types.NotAuthenticated
	if !asFault(err, &fault) {
		return err
	}
	if err := s.relogin(ctx, before); err != nil {
		return err
	}
	reflect.ValueOf(res).Elem().SetZero()
	return s.soap.RoundTrip(ctx, req, res)
}

// relogin logs in unless somebody else did since the count was before. Those who come
// together share one login.
func (s *session) relogin(ctx context.Context, before int64) error {
	done := s.again.DoChan(strconv.FormatInt(before, 10), func() (any, error) {
		if s.logins.Load() != before {
			return nil, nil
		}
		if r := s.refused.Load(); r != nil && time.Since(r.at) < refusedTime {
			return nil, r.err
		}
		long, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		err := s.login(long)
		if errors.Is(err, inventory.ErrDenied) {
			s.refused.Store(&refusal{err, time.Now()})
		}
		return nil, err
	})
	select {
	case r := <-done:
		return r.Err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *session) login(ctx context.Context) error {
	password, err := s.password()
	if err != nil {
		return fmt.Errorf("password for %s: %w", s.user, err)
	}
	res, err := methods.Login(ctx, s.soap, &types.Login{This: s.manager, UserName: s.user, Password: string(password)})
	if err != nil {
		return translate("log in as "+s.user, err)
	}
	s.key.Store(res.Returnval.Key)
	s.logins.Add(1)
	return nil
}

// logout ends the session; one that the server forgot already is no error.
func (s *session) logout() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	defer s.soap.CloseIdleConnections()
	_, err := methods.Logout(ctx, s.soap, &types.Logout{This: s.manager})
	var fault *types.NotAuthenticated
	if err == nil || asFault(err, &fault) {
		return nil
	}
	return translate("log out", err)
}

// keep calls the server every now and then until ctx ends, so that the session lasts. A
// session that was lost all the same is made anew by the call.
func (s *session) keep(ctx context.Context, client *vim25.Client) {
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_, _ = methods.GetCurrentTime(ctx, client) // the next call tells
		}
	}
}

// logIn makes a session of a client's calls.
func logIn(ctx context.Context, client *vim25.Client, c Config, t target) (*session, error) {
	s := &session{soap: client.Client, manager: *client.ServiceContent.SessionManager, user: t.user, password: c.Password}
	if err := s.login(ctx); err != nil {
		client.CloseIdleConnections()
		return nil, err
	}
	client.RoundTripper = s
	return s, nil
}

// dialled is a client that is not logged in.
func dialled(ctx context.Context, c Config, t target) (*vim25.Client, error) {
	if err := checkThumbprint(c.Thumbprint); err != nil {
		return nil, err
	}
	transport := soap.NewClient(t.sdk, false)
	transport.UserAgent = userAgent
	transport.DefaultTransport().Proxy = nil // dial, and so the pin, is not asked behind a proxy
	transport.DefaultTransport().DialTLSContext = pins{server: withPort(t.sdk.Host), thumbprint: c.Thumbprint, hosts: transport.Thumbprint}.dial
	client, err := vim25.NewClient(ctx, transport)
	if err != nil {
		transport.CloseIdleConnections()
		return nil, translate("connect to "+t.sdk.Host, err)
	}
	if client.ServiceContent.SessionManager == nil || client.ServiceContent.PropertyCollector.Value == "" {
		return nil, fmt.Errorf("connect to %s: %w", t.sdk.Host, errors.New("no vSphere API answers there"))
	}
	return client, nil
}

func withPort(host string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(host, "443")
}
