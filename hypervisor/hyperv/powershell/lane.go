package powershell

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"sync"
	"time"

	"ingot/inventory"
)

const (
	// idleConnection is under HTTP.sys's 120 s, so that it is us who close: a request on
	// a connection that the server just closed is lost, and may have been carried out.
	idleConnection = 60 * time.Second
	// requestTime is the most that one request takes: the server holds a Receive for
	// operationTimeout.
	requestTime = operationTimeout + 40*time.Second
	userAgent   = "Ingot"
)

var errSilent = lost{fmt.Errorf("no answer within %s", requestTime)}

// lost marks an error of a computer that can't be reached, or of a connection to it that
// ended: it may be there again later. Its text stays what it is.
type lost struct{ error }

// Unwrap is for errors.Is and errors.As.
func (e lost) Unwrap() []error { return []error{e.error, inventory.ErrBusy} }

// isLost tells a connection that ended under a request, as one does that was idle when the
// service was restarted.
func isLost(ctx context.Context, err error) bool {
	return err != nil && ctx.Err() == nil && !isRefused(err) && !errors.Is(err, errNotSOAP) && !errors.Is(err, errSilent)
}

// lane is one connection to the service, made when it is needed, and what is logged in on
// it. One goroutine uses it at a time: NTLM logs in a connection and not a request, so that
// requests must not be spread over a pool.
type lane struct {
	config    WinRMConfig
	transport *http.Transport
	// refusal is the runner's.
	refusal *refusal

	mu sync.Mutex
	// conn is the latest connection, in the one that is logged in.
	conn, in net.Conn
}

func newLane(c WinRMConfig, r *refusal) *lane {
	l := &lane{config: c, refusal: r}
	l.transport = &http.Transport{
		MaxConnsPerHost: 1, IdleConnTimeout: idleConnection, DisableCompression: true,
		// No proxy: Negotiate does not work through most.
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
		DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := c.dial(ctx)
			if err != nil {
				return nil, refused{err}
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			l.conn = conn
			return conn, nil
		},
	}
	return l
}

// refused is an error of a request that was surely not carried out: there was no
// connection, or the server's answer says so.
type refused struct{ error }

// Unwrap is for errors.Is and errors.As.
func (e refused) Unwrap() error { return e.error }

// isRefused tells whether a request was surely not carried out.
func isRefused(err error) bool {
	var r refused
	return isFault(err) || errors.As(err, &r)
}

func (l *lane) close() { l.transport.CloseIdleConnections() }

// latest is the connection of the last request, and whether it is logged in.
func (l *lane) latest() (net.Conn, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn, l.conn != nil && l.conn == l.in
}

func (l *lane) loggedIn(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.in = conn
}

// response is an HTTP answer that was read.
type response struct {
	status int
	header http.Header
	body   []byte
	tls    *tls.ConnectionState
}

// post sends one HTTP request, with that Authorization if any.
func (l *lane) post(ctx context.Context, body []byte, authorization string) (*response, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, requestTime, fmt.Errorf("%s: %w", l.config.Host, errSilent))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+l.config.Host+"/wsman", bytes.NewReader(body))
	if err != nil {
		return nil, inventory.Invalid("WinRM host %q: %v", l.config.Host, err)
	}
	req.Header.Set("Content-Type", "application/soap+xml;charset=UTF-8")
	req.Header.Set("User-Agent", userAgent)
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	res, err := l.transport.RoundTrip(req)
	if err != nil {
		return nil, roundTripError(ctx, err)
	}
	defer res.Body.Close()
	read, err := io.ReadAll(io.LimitReader(res.Body, answerMax))
	if err != nil {
		return nil, roundTripError(ctx, err)
	}
	return &response{res.StatusCode, res.Header, read, res.TLS}, nil
}

// answerMax is far more than an answer may have under our MaxEnvelopeSize.
const answerMax = 8 << 20

// roundTripError prefers why a context ended to what the transport makes of that.
func roundTripError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if isRefused(err) {
		return err
	}
	return lost{err}
}

// call sends a message and reads its answer; a fault is a *fault.
func (l *lane) call(ctx context.Context, m message) (*reply, error) {
	id := newMessageID()
	res, err := l.authorized(ctx, m.envelope("https://"+l.config.Host+"/wsman", id))
	if err != nil {
		return nil, err
	}
	kind, _, _ := mime.ParseMediaType(res.header.Get("Content-Type"))
	if kind == "application/soap+xml" && (res.status == http.StatusOK || res.status >= 400) {
		return parseReply(res.body, id)
	}
	err = fmt.Errorf("%s: %w", l.config.Host, httpError(res.status, kind))
	if res.status >= 300 && res.status < 500 || res.status == http.StatusServiceUnavailable {
		err = refused{err}
	}
	return nil, err
}

// httpError is an answer that is no SOAP.
func httpError(status int, kind string) error {
	switch status {
	case http.StatusNotFound:
		return errors.New("no WinRM service at /wsman (HTTP 404): " + adviceEnable)
	case http.StatusRequestEntityTooLarge:
		return fmt.Errorf("message too large (HTTP 413): %s: %w", adviceEnvelope, inventory.ErrUnsupported)
	case http.StatusServiceUnavailable:
		return fmt.Errorf("the WinRM service is not running or overloaded (HTTP 503): %w", inventory.ErrBusy)
	case http.StatusForbidden:
		return fmt.Errorf("the service refuses this client (HTTP 403): %w", inventory.ErrDenied)
	case http.StatusOK:
		return fmt.Errorf("%w but %q: is the port WinRM's?", errNotSOAP, kind)
	}
	return fmt.Errorf("%w but HTTP status %d", errNotSOAP, status)
}
