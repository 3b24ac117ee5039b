// Package buckettest runs an S3-compatible server that others wrote, Versity's S3 gateway
// on a folder, behind a proxy that can do to requests what networks and full disks do.
package buckettest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// Keys of the gateway.
const (
	AccessKey = "ingot-test"
	SecretKey = "not-to-be-seen-anywhere"
)

// ErrMissing: the gateway is not on this machine.
var ErrMissing = errors.New("versitygw is not there (scripts/setup test builds it below $INGOT_TEST_TOOLS)")

// Gateway is a running server. Its buckets are the folders below Dir.
type Gateway struct {
	// URL is the endpoint.
	URL string
	Dir string

	cmd   *exec.Cmd
	ended chan struct{}
	front *httptest.Server
	back  *httputil.ReverseProxy

	mu        sync.Mutex
	intercept func(w http.ResponseWriter, r *http.Request) bool
}

// startTime bounds the wait for the gateway's socket.
const startTime = time.Minute

// Start runs a gateway with a bucket in a folder. Close it.
func Start(ctx context.Context, dir, bucket string) (*Gateway, error) {
	program, err := find()
	if err != nil {
		return nil, err
	}
	g := &Gateway{Dir: filepath.Join(dir, "objects"), ended: make(chan struct{})}
	if err := os.MkdirAll(filepath.Join(g.Dir, bucket), 0o755); err != nil {
		return nil, err
	}
	// The path of a socket has at most 107 bytes.
	short, err := os.MkdirTemp("", "gw")
	if err != nil {
		return nil, err
	}
	socket := filepath.Join(short, "s3")
	g.cmd = exec.Command(program, "--port", socket, "--quiet", "posix", g.Dir)
	g.cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+AccessKey, "ROOT_SECRET_KEY="+SecretKey)
	if err := g.cmd.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(short))
	}
	go func() {
		_ = g.cmd.Wait() // it is killed at the end
		_ = os.RemoveAll(short)
		close(g.ended)
	}()
	if err := g.up(ctx, socket); err != nil {
		g.stop()
		return nil, err
	}
	g.serve(socket)
	return g, nil
}

// There tells whether the gateway is on this machine.
func There() bool {
	_, err := find()
	return err == nil
}

func find() (string, error) {
	if root := os.Getenv("INGOT_TEST_TOOLS"); root != "" {
		if path, err := exec.LookPath(filepath.Join(root, "usr/local/bin/versitygw")); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath("versitygw")
	if err != nil {
		return "", ErrMissing
	}
	return path, nil
}

// up waits until the gateway listens.
func (g *Gateway) up(ctx context.Context, socket string) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if c, err := net.Dial("unix", socket); err == nil {
			return c.Close()
		}
		select {
		case <-tick.C:
		case <-g.ended:
			return fmt.Errorf("versitygw ended: %s", g.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("versitygw does not listen after %s", startTime)
		}
	}
}

func (g *Gateway) serve(socket string) {
	g.back = &httputil.ReverseProxy{
		// The signature covers the Host header: it stays as it came.
		ErrorLog: log.New(io.Discard, "", 0), // of requests that a test cuts
		Rewrite:  func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "gateway" },
		Transport: &http.Transport{DisableCompression: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}},
	}
	g.front = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		intercept := g.intercept
		g.mu.Unlock()
		if intercept != nil && intercept(w, r) {
			return
		}
		g.Forward(w, r)
	}))
	g.URL = g.front.URL
}

// Intercept has f look at each request from now on; where it answers by itself it returns
// true. nil lets all through.
func (g *Gateway) Intercept(f func(w http.ResponseWriter, r *http.Request) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.intercept = f
}

// Forward has the gateway answer.
func (g *Gateway) Forward(w http.ResponseWriter, r *http.Request) { g.back.ServeHTTP(w, r) }

// Address is HOST:PORT of the endpoint.
func (g *Gateway) Address() string {
	u, err := url.Parse(g.URL)
	if err != nil {
		panic("buckettest: " + err.Error())
	}
	return u.Host
}

func (g *Gateway) stop() {
	_ = g.cmd.Process.Kill() // it may have ended
	<-g.ended
}

// Close ends the gateway. Its folder stays.
func (g *Gateway) Close() {
	g.front.CloseClientConnections()
	g.front.Close()
	g.stop()
}

// Fail answers with an error of S3's.
func Fail(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>injected</Message></Error>", code)
}

// Cut ends the connection without an answer.
func Cut(http.ResponseWriter) { panic(http.ErrAbortHandler) }
