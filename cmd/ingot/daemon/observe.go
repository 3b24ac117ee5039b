package daemon

import (
	"context"
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"ingot/inventory"
)

// readiness answers /readyz.
type readiness struct{ up atomic.Bool }

func (r *readiness) set() { r.up.Store(true) }

// ServeHTTP implements http.Handler.
func (r *readiness) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if !r.up.Load() {
		http.Error(w, "starting", http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ready\n")) // the peer is gone: nobody to tell
}

// machineStates counts machines by state when it is asked.
type machineStates struct {
	store inventory.Store
	desc  *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (m machineStates) Describe(ch chan<- *prometheus.Desc) { ch <- m.desc }

// Collect implements prometheus.Collector.
func (m machineStates) Collect(ch chan<- prometheus.Metric) {
	counts := map[inventory.State]int{}
	ctx := context.Background() // prometheus gives collectors none
	err := m.store.View(ctx, func(x inventory.Tx) error {
		ms, err := x.Machines(ctx)
		for _, one := range ms {
			counts[one.Status.State]++
		}
		return err
	})
	if err != nil {
		ch <- prometheus.NewInvalidMetric(m.desc, err)
		return
	}
	for state, n := range counts {
		ch <- prometheus.MustNewConstMetric(m.desc, prometheus.GaugeValue, float64(n), string(state))
	}
}

func (d *Daemon) metrics() http.Handler {
	reg := prometheus.NewRegistry()
	stats := d.boot.DHCP().Stats()
	count := func(name, help string, v *atomic.Int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "ingot", Name: name, Help: help}, func() float64 { return float64(v.Load()) })
	}
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		machineStates{d.store, prometheus.NewDesc("ingot_machines", "Machines by state.", []string{"state"}, nil)},
		count("dhcp_received_total", "DHCP packets received.", &stats.Received),
		count("dhcp_answered_total", "DHCP packets answered.", &stats.Answered),
		count("dhcp_dropped_total", "DHCP packets dropped because the queue was full.", &stats.Dropped),
		count("dhcp_commits_total", "Lease commits.", &stats.Commits),
		count("dhcp_committed_leases_total", "Leases committed.", &stats.Committed))
	if share := d.images.share; share != nil {
		s := &share.Stats
		reg.MustRegister(count("bucket_pushed_bytes_total", "Bytes of image chunks put into the bucket.", &s.PushedBytes),
			count("bucket_pulled_bytes_total", "Bytes of image chunks fetched from the bucket.", &s.PulledBytes),
			count("bucket_failures_total", "Looks at the bucket that ended with an error.", &s.Failures),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "ingot", Name: "bucket_good_timestamp_seconds", Help: "When a look at the bucket last went well."},
				func() float64 { return float64(s.Good.Load()) }))
	}
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
}
