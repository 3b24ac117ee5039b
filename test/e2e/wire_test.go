package e2e

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ingot/hypervisor/qemu"
	"ingot/inventory/api"
	"ingot/pxe/lab"
)

// TestFlippedBit puts a proxy between agent and server that flips one bit of the first
// answer with image data: the chunk is noticed and fetched again.
func TestFlippedBit(t *testing.T) {
	need(t)
	t.Parallel()
	guest(t)
	r := newRack(t, lab.Spec{Machines: []lab.Machine{machine(qemu.FirmwareBIOS, qemu.BusVirtio, qemu.NICVirtio)}}, authoritative...)
	r.env = []string{"INGOT_MACHINE_HTTP_PORT=7481", "INGOT_MACHINE_ADVERTISED_HTTP_PORT=7480"}
	r.start()
	flips := r.flippingProxy("10.66.0.1:7480", "10.66.0.1:7481")
	r.power("m", lab.On)
	r.approved("m")
	r.deploy("m", api.Deploy{Image: "tiny", Hostname: "web1"})
	r.checkDeployed("tiny")
	m, err := r.find(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	if flips.Load() == 0 || m.Status.Report == nil || m.Status.Report.RefetchedChunks == 0 {
		t.Errorf("%d bits flipped, report %+v: want a chunk fetched again", flips.Load(), m.Status.Report)
	}
}

// flippingProxy serves HTTP at from in the rack's namespace and passes it to the server.
func (r *rack) flippingProxy(from, to string) *atomic.Int64 {
	r.t.Helper()
	var flips atomic.Int64
	client := &http.Client{Transport: &http.Transport{DialContext: r.dial}}
	h := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		out, err := http.NewRequestWithContext(req.Context(), req.Method, "http://"+to+req.URL.RequestURI(), req.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		out.Header = req.Header
		resp, err := client.Do(out)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		for k, v := range resp.Header {
			w.Header()[k] = v
		}
		w.WriteHeader(resp.StatusCode)
		var body io.Reader = resp.Body
		chunks := strings.HasSuffix(req.URL.Path, "/data") && !strings.HasPrefix(req.Header.Get("Range"), "bytes=-") // not the seek table
		if chunks && flips.CompareAndSwap(0, 1) {
			body = &flipper{r: resp.Body, at: 1000}
		}
		_, _ = io.Copy(w, body) // the peer tells
	})
	l := r.listenInside(from)
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() { _ = srv.Serve(l); close(done) }() // ends with Close
	r.t.Cleanup(func() { _ = srv.Close(); <-done })
	return &flips
}

func (r *rack) listenInside(address string) net.Listener {
	r.t.Helper()
	var l net.Listener
	err := r.inside(func() error {
		var lc net.ListenConfig
		var err error
		l, err = lc.Listen(r.t.Context(), "tcp4", address)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return l
}

// flipper flips a bit of the byte at an offset.
type flipper struct {
	r  io.Reader
	at int
}

func (f *flipper) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if f.at >= 0 && f.at < n {
		p[f.at] ^= 0x10
	}
	f.at -= n
	return n, err
}
