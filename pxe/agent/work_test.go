package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
	"ingot/pxe/agentapi"
)

// apiServer plays the agent API: it gives orders in turn and keeps what came.
type apiServer struct {
	*httptest.Server
	mu sync.Mutex
	// token is what hello gave last; forget makes it unknown.
	token  string
	hellos int
	orders []agentapi.Order
	// dones are the generations that polls named.
	dones   []int64
	reports []inventory.Report
	beats   []agentapi.Beat
	facts   int
	log     bytes.Buffer
	// refuse answers a request before all else; nil or status 0 lets it through.
	refuse func(path string) (status int, final bool)
	// idle is closed when an agent asks and there are no more orders.
	idle chan struct{}
}

func serveAPI(t *testing.T, orders ...agentapi.Order) *apiServer {
	t.Helper()
	s := &apiServer{orders: orders, idle: make(chan struct{})}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *apiServer) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // a cut request is the test's
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil {
		if status, final := s.refuse(r.URL.Path); status != 0 {
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(agentapi.Problem{Error: "no", Final: final})
			return
		}
	}
	if r.URL.Path != agentapi.PathHello && r.Header.Get("Authorization") != "Bearer "+s.token {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	switch r.URL.Path {
	case agentapi.PathHello:
		s.hellos++
		s.token = strings.Repeat("t", s.hellos)
		_ = json.NewEncoder(w).Encode(agentapi.Welcome{Token: s.token, Name: "m", Time: time.Now()})
	case agentapi.PathFacts:
		s.facts++
	case agentapi.PathOrder:
		s.poll(w, r)
	case agentapi.PathBeat:
		var b agentapi.Beat
		_ = json.Unmarshal(body, &b)
		s.beats = append(s.beats, b)
	case agentapi.PathReport:
		var rep inventory.Report
		_ = json.Unmarshal(body, &rep)
		s.reports = append(s.reports, rep)
	case agentapi.PathLog:
		s.log.Write(body)
	}
}

func (s *apiServer) poll(w http.ResponseWriter, r *http.Request) {
	var done int64
	_ = json.Unmarshal([]byte(r.URL.Query().Get("done")), &done)
	s.dones = append(s.dones, done)
	if len(s.orders) == 0 {
		close(s.idle)
		s.mu.Unlock()
		<-r.Context().Done()
		s.mu.Lock()
		return
	}
	_ = json.NewEncoder(w).Encode(s.orders[0])
	s.orders = s.orders[1:]
}

// with runs f while nothing is served.
func (s *apiServer) with(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// attach gives a test's agent a session with s.
func (s *apiServer) attach(t *testing.T, a *Agent) {
	t.Helper()
	a.params.API = s.URL
	a.client.Store(agentapi.NewClient(s.URL, agentapi.Pin(s.Certificate())))
	f := &inventory.Facts{}
	f.System.UUID = "u"
	a.facts.Store(f)
	if _, err := a.hello(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// working runs the agent's part of serve until there are no more orders.
func working(t *testing.T, a *Agent, s *apiServer) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var g sync.WaitGroup
	g.Go(func() {
		if err := a.keepSession(ctx); err != nil {
			t.Errorf("session: %v", err)
		}
	})
	g.Go(func() {
		if err := a.work(ctx); err != nil && ctx.Err() == nil {
			t.Errorf("work: %v", err)
		}
	})
	select {
	case <-s.idle:
	case <-time.After(20 * time.Second):
		t.Error("the agent did not ask for more")
	}
	cancel()
	g.Wait()
}

func deployed(t *testing.T) (*Agent, *imageServer) {
	t.Helper()
	s := serveImage(t, 512, cloudInit())
	return testAgent(t, s, newDisk(t, 64*mib, 512)), s
}

func TestWorkReports(t *testing.T) {
	a, images := deployed(t)
	wrong := deployOrder(t, images, 4)
	wrong.Deploy.Disk.Serial = "other"
	api := serveAPI(t, agentapi.Order{Kind: agentapi.OrderWait}, deployOrder(t, images, 3), wrong, deployOrder(t, images, 2), agentapi.Order{Kind: "dance", Generation: 5})
	api.attach(t, a)
	working(t, a, api)
	type outcome struct {
		Generation int64
		OK         bool
		Permanent  bool
		Reason     string
	}
	var got []outcome
	for _, r := range api.reports {
		o := outcome{Generation: r.Generation, OK: r.OK}
		if r.Failure != nil {
			o.Permanent, o.Reason = r.Failure.Permanent, r.Failure.Reason
		}
		got = append(got, o)
	}
	want := []outcome{{3, true, false, ""}, {4, false, true, "no disk fits serial=other; this machine has vda (67.1 MB, model \"Test\", serial \"S1\"): invalid"},
		{2, false, true, "order of generation 2, and generation 4 was seen: a restored server must not write disks"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reports (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]int64{0, 0, 3, 4, 2, 2}, api.dones); diff != "" {
		t.Errorf("polls (-want +got)\n%s", diff)
	}
}

// TestReportUntilHeard: the server is away while the agent reports.
func TestReportUntilHeard(t *testing.T) {
	a, images := deployed(t)
	api := serveAPI(t, deployOrder(t, images, 3))
	left := 3
	api.refuse = func(path string) (int, bool) {
		if path == agentapi.PathReport && left > 0 {
			left--
			return http.StatusInternalServerError, false
		}
		return 0, false
	}
	api.attach(t, a)
	working(t, a, api)
	if len(api.reports) != 1 || !api.reports[0].OK || left != 0 {
		t.Errorf("reports %+v, %d refusals left", api.reports, left)
	}
}

// TestReportRefused: a report that the server won't have is not sent for ever.
func TestReportRefused(t *testing.T) {
	a, images := deployed(t)
	api := serveAPI(t, deployOrder(t, images, 3))
	api.refuse = func(path string) (int, bool) {
		if path == agentapi.PathReport {
			return http.StatusBadRequest, true
		}
		return 0, false
	}
	api.attach(t, a)
	working(t, a, api)
	if len(api.dones) != 2 || api.dones[1] != 3 {
		t.Errorf("polls %v", api.dones)
	}
}

// TestSessionUnknown: the server forgot the session; the agent says hello again, also
// when it learns that from a report, which then is not lost.
func TestSessionUnknown(t *testing.T) {
	for _, path := range []string{agentapi.PathOrder, agentapi.PathReport} {
		t.Run(path, func(t *testing.T) {
			a, images := deployed(t)
			api := serveAPI(t, deployOrder(t, images, 3))
			once := true
			api.refuse = func(p string) (int, bool) {
				if p == path && once {
					once, api.token = false, "another"
				}
				return 0, false
			}
			api.attach(t, a)
			working(t, a, api)
			if api.hellos != 2 || len(api.reports) != 1 || !api.reports[0].OK || api.facts != 2 {
				t.Errorf("%d hellos, %d facts, reports %+v", api.hellos, api.facts, api.reports)
			}
		})
	}
}

// TestServerRestarts: the connection of the long poll breaks, and the next poll goes on.
func TestServerRestarts(t *testing.T) {
	a, images := deployed(t)
	api := serveAPI(t)
	first := make(chan struct{})
	api.idle = first
	api.attach(t, a)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- a.work(ctx) }()
	<-first
	api.with(func() {
		api.idle = make(chan struct{})
		api.orders = []agentapi.Order{deployOrder(t, images, 3)}
	})
	api.CloseClientConnections()
	select {
	case <-api.idle:
	case <-time.After(20 * time.Second):
		t.Error("no further poll")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if len(api.reports) != 1 || api.hellos != 1 {
		t.Errorf("reports %+v, %d hellos", api.reports, api.hellos)
	}
}

// TestFactsRefused: facts that the server won't have don't stop the machine.
func TestFactsRefused(t *testing.T) {
	a, _ := deployed(t)
	api := serveAPI(t)
	api.refuse = func(path string) (int, bool) {
		if path == agentapi.PathFacts {
			return http.StatusBadRequest, true
		}
		return 0, false
	}
	api.attach(t, a)
	if api.hellos != 1 {
		t.Errorf("%d hellos", api.hellos)
	}
}

// TestBeat: beats carry the progress, tell of a lost session, and stop for a break.
func TestBeat(t *testing.T) {
	a, _ := deployed(t)
	api := serveAPI(t)
	api.attach(t, a)
	a.beats.set(3, &inventory.Progress{Step: "write", Bytes: 5, TotalBytes: 10})
	api.with(func() { api.token = "another" })
	ctx, cancel := context.WithCancel(t.Context())
	var g sync.WaitGroup
	g.Go(func() { _ = a.beat(ctx, time.Millisecond) })
	g.Go(func() { _ = a.keepSession(ctx) })
	deadline := time.After(20 * time.Second)
	for beats := 0; beats == 0; {
		select {
		case <-deadline:
			t.Fatal("no beat")
		case <-time.After(time.Millisecond):
			api.with(func() { beats = len(api.beats) })
		}
	}
	cancel()
	g.Wait()
	if b := api.beats[0]; b.Generation != 3 || b.Progress == nil || b.Progress.Bytes != 5 || api.hellos != 2 {
		t.Errorf("beat %+v, %d hellos", b, api.hellos)
	}
	a.beats.stop()
	if _, alive := a.beats.now(); alive {
		t.Error("it beats after stop")
	}
}

func TestWrongPin(t *testing.T) {
	api := serveAPI(t)
	a, _ := deployed(t)
	a.client.Store(agentapi.NewClient(api.URL, testPin))
	a.facts.Store(&inventory.Facts{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := a.hello(ctx); !errors.Is(err, context.DeadlineExceeded) || api.hellos != 0 {
		t.Errorf("%v, %d hellos", err, api.hellos)
	}
}

func TestBreak(t *testing.T) {
	a := newAgent("test", slog.New(slog.DiscardHandler), newLogBuffer(io.Discard))
	if err := a.breakHere(t.Context()); err != nil {
		t.Error(err)
	}
	a.params.Break = BreakExit
	if err := a.breakHere(t.Context()); err == nil {
		t.Error("exit: no error")
	}
	a.params.Break = BreakHang
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.breakHere(ctx); err != nil {
		t.Error(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("panic: none")
		}
	}()
	a.params.Break = BreakPanic
	_ = a.breakHere(t.Context())
}
