package guestrun

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// ServerURL is where a guest reaches its machine's Server, whatever else it reaches. The
// name stands for an address of QEMU's user-mode network.
const ServerURL = "http://10.0.2.100"

const (
	serverAddress = "10.0.2.100:80"
	serverSocket  = "http.sock"
	// maxRequestBytes bounds a request, maxStalledRequest how long it may take to come.
	maxRequestBytes   = 128 << 10
	maxStalledRequest = time.Minute
)

// server answers a guest's HTTP requests on a unix socket that QEMU connects to. It is
// not an http.Server: QEMU joins all connections of the guest to one stream, in which a
// "Connection: close" must close nothing.
type server struct {
	listener net.Listener
	handler  http.Handler
	owners   sync.WaitGroup
}

func newServer(dir string, h http.Handler) (*server, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	// A socket's address has room for 107 bytes; the path may have more.
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	l, err := net.Listen("unix", filepath.Join("/proc/self/fd", strconv.Itoa(int(d.Fd())), serverSocket))
	if err != nil {
		return nil, fmt.Errorf("serve the guest: %w", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	s := &server{listener: l, handler: h}
	s.owners.Go(s.accept)
	return s, nil
}

// accept serves one stream at a time: there is one QEMU.
func (s *server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.serve(conn)
		conn.Close()
	}
}

// serve answers requests until one is not HTTP or the stream ends.
func (s *server) serve(conn net.Conn) {
	bound := &io.LimitedReader{R: conn}
	in := bufio.NewReader(bound)
	for {
		bound.N = maxRequestBytes
		conn.SetReadDeadline(time.Time{})
		if _, err := in.Peek(1); err != nil {
			return
		}
		conn.SetDeadline(time.Now().Add(maxStalledRequest))
		request, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return
		}
		request.Body, request.RemoteAddr = io.NopCloser(bytes.NewReader(body)), "127.0.0.1:1"
		w := &response{header: http.Header{}, status: http.StatusOK}
		s.handler.ServeHTTP(w, request)
		if err := w.send(conn, request); err != nil {
			return
		}
	}
}

// close ends the server; QEMU must have ended before.
func (s *server) close() error {
	err := s.listener.Close()
	s.owners.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// response is an answer in memory: its length must be known, as no end of the stream
// tells it.
type response struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *response) Header() http.Header         { return w.header }
func (w *response) WriteHeader(status int)      { w.status = status }
func (w *response) Write(p []byte) (int, error) { return w.body.Write(p) }

func (w *response) send(to io.Writer, request *http.Request) error {
	r := http.Response{StatusCode: w.status, ProtoMajor: 1, ProtoMinor: 1, Header: w.header, Request: request,
		Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len())}
	return r.Write(to)
}
