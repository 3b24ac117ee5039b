package sim

import (
	"context"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vim25/xml"
)

// Call is a request that came in.
type Call struct {
	// Method is the SOAP method's name, or "PUT /folder", "POST /nfc".
	Method string
	This   types.ManagedObjectReference
	Body   any
}

// Changes tells whether a call changes anything.
func (c Call) Changes() bool {
	switch c.Method {
	case "SearchDatastore_Task", "SearchDatastoreSubFolders_Task":
		return false
	case "PUT /folder", "POST /nfc", "CreateFolder", "MakeDirectory", "ImportVApp", "HttpNfcLeaseComplete", "HttpNfcLeaseAbort", "ShutdownGuest", "UnregisterVM":
		return true
	}
	return strings.HasSuffix(c.Method, "_Task")
}

// Numbers that differ from run to run: those of references, and the keys that a server
// draws for devices to be made.
var (
	refNumber = regexp.MustCompile(`( type="[A-Za-z]+">[a-z]+)-?[a-z]?[0-9]+</`)
	drawnKey  = regexp.MustCompile(`>-[0-9]{4,}</`)
)

// XML is the request with those numbers taken out, for golden files.
func (c Call) XML() string {
	text, err := xml.MarshalIndent(c.Body, "", "  ")
	if err != nil {
		return err.Error()
	}
	text = refNumber.ReplaceAll(text, []byte("$1-N</"))
	return string(drawnKey.ReplaceAll(text, []byte(">-N</"))) + "\n"
}

// recorder keeps the calls.
type recorder struct {
	mu    sync.Mutex
	calls []Call
	// came is closed at the next call; nil when nobody waits for it.
	came chan struct{}
}

func (r *recorder) add(c Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, c)
	if r.came != nil {
		close(r.came)
		r.came = nil
	}
}

// next returns how often a method was called since the last Forget, and what is closed at
// the next call of any.
func (r *recorder) next(method string) (times int, came <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.calls {
		if c.Method == method {
			times++
		}
	}
	if r.came == nil {
		r.came = make(chan struct{})
	}
	return times, r.came
}

// Calls are those since the start or the last Forget.
func (s *Server) Calls() []Call {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	return slices.Clone(s.calls.calls)
}

// Await waits until a method was called n times since the last Forget.
func (s *Server) Await(ctx context.Context, method string, n int) error {
	for {
		times, came := s.calls.next(method)
		if times >= n {
			return nil
		}
		select {
		case <-came:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Forget drops the calls so far.
func (s *Server) Forget() {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	s.calls.calls = nil
}

func callOf(m *simulator.Method) Call { return Call{m.Name, m.This, m.Body} }

// kindOf is the method that a request's body is of.
func kindOf(body any) string { return reflect.TypeOf(body).Elem().Name() }
