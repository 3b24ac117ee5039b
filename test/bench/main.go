// Bench measures Ingot against the programs that people use today, in turn on the same
// machine, and prints a table. scripts/bench prepares what it needs and runs it in a
// network namespace of its own.
//
// Every figure of a round stands beside its peers' of the same round: a ratio is taken
// within a round, and the table has the medians of figures and of ratios.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// bench is one run: where things are, and how much is measured.
type bench struct {
	// peers is the root that peers' packages are unpacked in; bin has ingot, ingot-agent
	// and the load generators; data is a data directory with boot files; scratch is
	// removed at the end.
	peers, bin, data, scratch string
	quick                     bool
	rounds                    int
	logf                      func(string, ...any)
	// cleanups end what contests share, after the last of a table.
	cleanups []func() error
}

// tables are the benches by name, in the order in which they are run.
var tables = []struct {
	name string
	make func(context.Context, *bench) ([]*contest, error)
}{
	{"dhcp", dhcpContests}, {"tftp", tftpContests}, {"http", httpContests}, {"imaging", imagingContests}, {"images", imagesContests},
	{"environment", environmentContests}, {"memory", memoryContests}, {"vm", vmContests},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	exit(run(ctx))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(ctx context.Context) (err error) {
	b := &bench{logf: func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }}
	cache := flag.String("cache", ".cache", "directory with peers/root, bench/bin and bench/data")
	out := flag.String("o", "", "file to write the table to, beside standard output")
	only := flag.String("only", "", "benches to run, separated by commas (dhcp,tftp,http,imaging,images,environment,memory,vm)")
	flag.BoolVar(&b.quick, "quick", false, "about a minute: small sizes, one round, no power-on")
	flag.IntVar(&b.rounds, "rounds", 0, "rounds (default 5, with -quick 1)")
	flag.Parse()
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	if b.rounds == 0 {
		b.rounds = 5
		if b.quick {
			b.rounds = 1
		}
	}
	if err := b.open(ctx, *cache); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.scratch)) }()
	text, missed := b.measure(ctx, chosen)
	fmt.Print(text)
	if *out != "" {
		missed = errors.Join(missed, os.WriteFile(*out, []byte(text), 0o644))
	}
	return missed
}

// choose checks the names given.
func choose(only string) ([]string, error) {
	var all []string
	for _, t := range tables {
		all = append(all, t.name)
	}
	if only == "" {
		return all, nil
	}
	chosen := strings.Split(only, ",")
	for _, name := range chosen {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("-only: unknown bench %q (want %s)", name, strings.Join(all, ","))
		}
	}
	return chosen, nil
}

func (b *bench) open(ctx context.Context, cache string) error {
	cache, err := filepath.Abs(cache)
	if err != nil {
		return err
	}
	b.peers, b.bin, b.data = filepath.Join(cache, "peers", "root"), filepath.Join(cache, "bench", "bin"), filepath.Join(cache, "bench", "data")
	for _, path := range []string{b.peers, filepath.Join(b.bin, "ingot"), b.part()} {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("%s is missing: scripts/bench makes it: %w", path, err)
		}
	}
	if b.scratch, err = os.MkdirTemp(filepath.Join(cache, "bench"), "run-"); err != nil {
		return err
	}
	return b.wire(ctx)
}

// The namespace has one interface beside loopback: a server to be measured stands on it,
// and without an address that isn't loopback's tftpd-hpa finds its own not (getaddrinfo
// with AI_ADDRCONFIG).
const (
	port    = "bench0"
	address = "10.77.0.1"
)

func (b *bench) wire(ctx context.Context) error {
	for _, args := range []string{"link set lo up", "link add " + port + " type veth peer name bench1", "addr add " + address + "/16 dev " + port,
		"link set " + port + " up", "link set bench1 up"} {
		if text, err := exec.CommandContext(ctx, "ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s (scripts/bench runs this in a network namespace of its own): %w: %s", args, err, text)
		}
	}
	return nil
}

// measure runs the benches chosen and returns the tables. A bench that can't run is a
// line in the table, and an error.
func (b *bench) measure(ctx context.Context, chosen []string) (string, error) {
	var text strings.Builder
	text.WriteString(b.header())
	var failed error
	for _, t := range tables {
		if !slices.Contains(chosen, t.name) {
			continue
		}
		start := time.Now()
		contests, err := t.make(ctx, b)
		for _, c := range contests {
			if err == nil {
				err = c.run(ctx, b)
			}
			text.WriteString(c.markdown())
		}
		for _, end := range b.cleanups {
			err = errors.Join(err, end())
		}
		b.cleanups = nil
		if err != nil {
			fmt.Fprintf(&text, "%s could not be measured: %v\n\n", t.name, err)
			failed = errors.Join(failed, fmt.Errorf("%s: %w", t.name, err))
		}
		b.logf("%s took %.0f s", t.name, time.Since(start).Seconds())
	}
	return text.String(), failed
}
