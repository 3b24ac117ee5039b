package boottest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"ingot/images/guestrun"
)

// maxHomeBytes bounds what a guest may post.
const maxHomeBytes = 64 << 10

// call is what a guest says of itself when it phones home.
type call struct{ instance, hostname string }

// home waits on loopback for the phone-home of one guest.
type home struct {
	calls  chan call // the first call
	url    string    // as the guest reaches it
	server *http.Server
	done   chan error
}

func listenHome(ctx context.Context) (*home, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the phone-home: %w", err)
	}
	path := "/phone-home/" + strings.ToLower(rand.Text())
	h := &home{calls: make(chan call, 1), done: make(chan error, 1),
		url: fmt.Sprintf("http://%s:%d%s", guestrun.HostAddress, listener.Addr().(*net.TCPAddr).Port, path)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+path, h.answer)
	h.server = &http.Server{Handler: mux, ReadTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10}
	go func() { h.done <- h.server.Serve(listener) }()
	return h, nil
}

// answer takes cloud-init's form.
func (h *home) answer(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxHomeBytes)
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	select {
	case h.calls <- call{r.PostForm.Get("instance_id"), r.PostForm.Get("hostname")}:
	default:
	}
	w.WriteHeader(http.StatusNoContent)
}

func (h *home) close() error {
	err := h.server.Close()
	if end := <-h.done; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}
