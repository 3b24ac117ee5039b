package boottest

import (
	"crypto/rand"
	"io"
	"net/http"
	"strings"

	"ingot/images/guestrun"
)

// maxHomeBytes bounds what a guest may post.
const maxHomeBytes = 64 << 10

// call is what a guest says of itself when it phones home.
type call struct{ instance, hostname string }

// home waits for the phone-home of one guest.
type home struct {
	calls chan call // the first call
	url   string    // as the guest reaches it
	mux   http.ServeMux
}

func newHome() *home {
	path := "/phone-home/" + strings.ToLower(rand.Text())
	h := &home{calls: make(chan call, 1), url: guestrun.ServerURL + path}
	h.mux.HandleFunc("POST "+path, h.answer)
	return h
}

// ServeHTTP implements http.Handler.
func (h *home) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

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
	io.WriteString(w, "ok\n")
}
