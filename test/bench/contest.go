package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"
)

// figure is one number that is measured of each contestant.
type figure struct {
	name, unit string
	// more: larger is better.
	more bool
}

// values of one run by figure name.
type values map[string]float64

// contestant is a program that does the job. The first of a contest is Ingot.
type contestant struct {
	name string
	run  func(ctx context.Context) (values, error)
}

// against is what a target compares Ingot with.
type against string

// Beside these it may be a contestant's name. alone is an absolute limit.
const (
	best   against = "the best peer"
	median against = "the median peer"
	alone  against = ""
)

// target is a promise about a figure: a ratio to a peer, or an absolute limit.
type target struct {
	figure string
	limit  float64
	to     against
}

// contest is one job, done by each contestant in each round.
type contest struct {
	title       string
	figures     []figure
	targets     []target
	contestants []contestant
	// once: what doesn't change from run to run is measured in one round.
	once bool
	// reference is a contestant that is no peer: what the machine itself allows.
	reference string
	// note is said below the table.
	note string
	// got has the values by round and contestant; a run that failed has none.
	got    [][]values
	failed map[string]string
}

// run does the rounds; each begins with another contestant.
func (c *contest) run(ctx context.Context, b *bench) error {
	rounds := b.rounds
	if c.once {
		rounds = 1
	}
	c.failed = map[string]string{}
	for round := range rounds {
		row := make([]values, len(c.contestants))
		for i := range c.contestants {
			who := (i + round) % len(c.contestants)
			start := time.Now()
			v, err := c.contestants[who].run(ctx)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil && who == 0 {
				return fmt.Errorf("%s: %w", c.contestants[who].name, err)
			}
			if err != nil {
				c.failed[c.contestants[who].name] = err.Error()
			}
			row[who] = v
			b.logf("%s, round %d, %s: %v (%.1f s)", c.title, round+1, c.contestants[who].name, v, time.Since(start).Seconds())
		}
		c.got = append(c.got, row)
	}
	return nil
}

// of are the values of a contestant's figure, one for each round that it finished.
func (c *contest) of(who int, f string) []float64 {
	var out []float64
	for _, row := range c.got {
		if v, ok := row[who][f]; ok {
			out = append(out, v)
		}
	}
	return out
}

// ratios are Ingot's figure by that of a peer, or of the best or median one, per round.
// The best peer is the one with the best median: the best of each round would be ahead
// of its own equals, by what the rounds differ.
func (c *contest) ratios(f figure, to against) []float64 {
	if to == best {
		to = c.best(f)
	}
	var out []float64
	for _, row := range c.got {
		ours, ok := row[0][f.name]
		peer, has := c.peer(row, f, to)
		if ok && has && peer > 0 {
			out = append(out, ours/peer)
		}
	}
	return out
}

// best is the name of the peer with the best median.
func (c *contest) best(f figure) (name against) {
	var record float64
	for i, who := range c.contestants[1:] {
		m := middle(c.of(i+1, f.name))
		if who.name == c.reference || math.IsNaN(m) {
			continue
		}
		if name == "" || f.more && m > record || !f.more && m < record {
			name, record = against(who.name), m
		}
	}
	return name
}

// peer is a peer's figure in a round, or that of the median peer.
func (c *contest) peer(row []values, f figure, to against) (float64, bool) {
	var all []float64
	for i, v := range row[1:] {
		value, ok := v[f.name]
		if !ok {
			continue
		}
		switch c.contestants[i+1].name {
		case string(to):
			return value, true
		case c.reference:
			continue
		}
		all = append(all, value)
	}
	if len(all) == 0 || to != median {
		return 0, false
	}
	return middle(all), true
}

// middle is the median; NaN of nothing.
func middle(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

func (c *contest) figure(name string) figure {
	i := slices.IndexFunc(c.figures, func(f figure) bool { return f.name == name })
	return c.figures[i]
}
