package sim

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

var typeFunc = types.TypeFunc()

// serveSDK records a SOAP call, makes it fail when it is its turn, and hands it on.
func (s *Server) serveSDK(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	method, err := simulator.UnmarshalBody(typeFunc, body)
	if err != nil {
		s.service.ServeSDK(w, r)
		return
	}
	s.touch(r)
	s.calls.add(callOf(method))
	before, after := s.breaks.next(callOf(method))
	if before {
		http.Error(w, "made to fail", http.StatusServiceUnavailable)
		return
	}
	answer := httptest.NewRecorder()
	s.call(answer, r, callOf(method))
	s.remember(method, answer)
	if after {
		s.settle(answer.Body.Bytes())
		http.Error(w, "answer made to be lost", http.StatusServiceUnavailable)
		return
	}
	for k, v := range answer.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// call lets vcsim answer. What changes something comes one after the other: vcsim's own
// tasks are seen to their end here, the front's take their turn themselves.
func (s *Server) call(w *httptest.ResponseRecorder, r *http.Request, c Call) {
	if !c.Changes() && !strings.HasSuffix(c.Method, "_Task") {
		s.service.ServeSDK(w, r)
		return
	}
	s.work.Lock()
	defer s.work.Unlock()
	s.service.ServeSDK(w, r)
	if found := taskRef.FindSubmatch(w.Body.Bytes()); found != nil {
		if _, ours := s.cancels.Load(types.ManagedObjectReference{Type: "Task", Value: string(found[1])}); !ours {
			s.settle(w.Body.Bytes())
		}
	}
}

// touch ends a session that was idle for too long, and notes the use of one that was not.
func (s *Server) touch(r *http.Request) {
	cookie, err := r.Cookie(soap.SessionCookieName)
	if err != nil {
		return
	}
	s.mu.Lock()
	last, ok := s.sessions[cookie.Value]
	expired := ok && s.options.Idle > 0 && time.Since(last) > s.options.Idle
	if expired {
		delete(s.sessions, cookie.Value)
	} else if ok {
		s.sessions[cookie.Value] = time.Now()
	}
	s.mu.Unlock()
	if expired {
		s.terminate(cookie.Value)
	}
}

// remember keeps the sessions that a login makes.
func (s *Server) remember(m *simulator.Method, answer *httptest.ResponseRecorder) {
	for _, c := range answer.Result().Cookies() {
		if c.Name == soap.SessionCookieName && m.Name == "Login" {
			s.mu.Lock()
			s.sessions[c.Value] = time.Now()
			s.mu.Unlock()
		}
	}
}

func (s *Server) known(r *http.Request) bool {
	cookie, err := r.Cookie(soap.SessionCookieName)
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.sessions[cookie.Value]
	return ok
}

var taskRef = regexp.MustCompile(`<returnval[^>]*type="Task"[^>]*>([^<]+)<`)

// settle waits until the task that an answer names has ended.
func (s *Server) settle(answer []byte) {
	if found := taskRef.FindSubmatch(answer); found != nil {
		if t, ok := s.registry().Get(types.ManagedObjectReference{Type: "Task", Value: string(found[1])}).(*simulator.Task); ok {
			t.Wait()
		}
	}
}

// serveFile is the datastore's files over HTTP: with a session only, and into a directory
// that is there.
func (s *Server) serveFile(w http.ResponseWriter, r *http.Request) {
	s.touch(r)
	if !s.known(r) {
		http.Error(w, "no session", http.StatusUnauthorized)
		return
	}
	if r.Method != http.MethodPut {
		s.service.ServeDatastore(w, r)
		return
	}
	call := Call{Method: "PUT /folder", Body: r.URL.Path}
	s.calls.add(call)
	before, after := s.breaks.next(call)
	if before {
		http.Error(w, "made to fail", http.StatusServiceUnavailable)
		return
	}
	file := filepath.Join(s.Dir(r.URL.Query().Get("dsName")), r.PathValue("file"))
	if _, err := os.Stat(path.Dir(file)); err != nil {
		http.Error(w, "no such directory", http.StatusNotFound)
		return
	}
	s.mu.Lock()
	s.uploads[file] = true
	s.mu.Unlock()
	s.work.Lock()
	defer s.work.Unlock()
	if after {
		s.service.ServeDatastore(httptest.NewRecorder(), r)
		http.Error(w, "answer made to be lost", http.StatusServiceUnavailable)
		return
	}
	s.service.ServeDatastore(w, r)
}

func datastorePath(name string) object.DatastorePath {
	var p object.DatastorePath
	p.FromString(name)
	return p
}
