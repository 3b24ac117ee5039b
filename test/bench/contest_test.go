package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBest: the best peer has the best median, not the best round, and is no reference.
func TestBest(t *testing.T) {
	rate, duration := figure{"rate", "MB/s", true}, figure{"time", "s", false}
	c := &contest{contestants: []contestant{{name: "Ingot"}, {name: "steady"}, {name: "lucky"}, {name: "floor"}}, reference: "floor",
		got: [][]values{
			{{"rate": 10, "time": 3}, {"rate": 10, "time": 4}, {"rate": 30, "time": 1}, {"rate": 99, "time": 0.1}},
			{{"rate": 12, "time": 3}, {"rate": 10, "time": 4}, {"rate": 5, "time": 6}, {"rate": 99, "time": 0.1}},
			{{"rate": 15, "time": 3}, {"rate": 10, "time": 4}, {"rate": 5, "time": 6}, {"rate": 99, "time": 0.1}},
			{{"rate": 15, "time": 3}, nil, {"rate": 5, "time": 6}, nil},
		}}
	for _, tt := range []struct {
		f    figure
		want []float64
	}{{rate, []float64{1, 1.2, 1.5}}, {duration, []float64{0.75, 0.75, 0.75}}} {
		if name := c.best(tt.f); name != "steady" {
			t.Errorf("the best by %s is %q", tt.f.name, name)
		}
		if diff := cmp.Diff(tt.want, c.ratios(tt.f, best)); diff != "" {
			t.Errorf("ratios by %s (-want +got):\n%s", tt.f.name, diff)
		}
	}
	if got := c.ratios(rate, median); len(got) != 4 {
		t.Errorf("%d ratios to the median peer, want one a round", len(got))
	}
}
