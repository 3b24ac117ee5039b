package rest

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"ingot/inventory"
	"ingot/inventory/api"
)

// code maps an error's class to a status: the only place that does.
func code(err error) int {
	for _, c := range []struct {
		class error
		code  int
	}{
		{inventory.ErrNotFound, http.StatusNotFound},
		{inventory.ErrConflict, http.StatusConflict},
		{inventory.ErrInvalid, http.StatusUnprocessableEntity},
		{inventory.ErrBusy, http.StatusLocked},
		{inventory.ErrUnsupported, http.StatusNotImplemented},
		{inventory.ErrDenied, http.StatusForbidden},
	} {
		if errors.Is(err, c.class) {
			return c.code
		}
	}
	return http.StatusInternalServerError
}

func status(err error) error { return huma.NewError(code(err), err.Error()) }

// refuse answers outside huma in the same form.
func (s *Server) refuse(w http.ResponseWriter, err error) { s.problem(w, code(err), err) }

// noToken answers a request without the token. What is denied behind it, by a host say, is
// http.StatusForbidden.
func (s *Server) noToken(w http.ResponseWriter, err error) {
	c := code(err)
	if c == http.StatusForbidden {
		c = http.StatusUnauthorized
	}
	s.problem(w, c, err)
}

func (s *Server) problem(w http.ResponseWriter, c int, err error) {
	if c == http.StatusInternalServerError {
		s.Log.Error("API request", "err", err)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(c)
	_ = json.NewEncoder(w).Encode(api.Problem{Status: c, Title: http.StatusText(c), Detail: err.Error()}) // the peer is gone: nobody to tell
}
