package guestrun

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// answers serves files on loopback to one guest, under a path that is hard to guess.
type answers struct {
	url    string // as the guest reaches it, with a slash at its end
	server *http.Server
	done   chan error
}

func serveAnswers(ctx context.Context, files http.Handler) (*answers, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("serve answer files: %w", err)
	}
	path := "/" + strings.ToLower(rand.Text()) + "/"
	mux := http.NewServeMux()
	mux.Handle("GET "+path, http.StripPrefix(strings.TrimSuffix(path, "/"), files))
	a := &answers{url: fmt.Sprintf("http://%s:%d%s", HostAddress, listener.Addr().(*net.TCPAddr).Port, path), done: make(chan error, 1),
		server: &http.Server{Handler: mux, ReadTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10}}
	go func() { a.done <- a.server.Serve(listener) }()
	return a, nil
}

func (a *answers) close() error {
	err := a.server.Close()
	if end := <-a.done; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}
