package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tftpPort is where the peers listen, but for dnsmasq, which knows port 69 alone.
const tftpPort = "6969"

// tftpContests: transfers in lockstep with blocks of 1468 bytes, from the page cache.
func tftpContests(_ context.Context, b *bench) ([]*contest, error) {
	large, many := 64, 100
	if b.quick {
		large, many = 16, 40
	}
	dir := filepath.Join(b.scratch, "tftp")
	big, small := filepath.Join(dir, "big"), filepath.Join(dir, "small")
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(b.scratch, 0o755), randomFile(big, large<<20), randomFile(small, 1<<20)); err != nil {
		return nil, err
	}
	one := b.tftpContest(fmt.Sprintf("TFTP in lockstep, one file of %d MiB", large), big, 1)
	lots := b.tftpContest(fmt.Sprintf("TFTP in lockstep, %d clients at once with 1 MiB each", many), small, many)
	return []*contest{one, lots}, nil
}

func (b *bench) tftpContest(title, file string, clients int) *contest {
	c := &contest{title: title, figures: []figure{{"rate", "MB/s", true}}, targets: []target{{"rate", 0.8, median}, {"rate", 1, best}}}
	c.contestants = []contestant{{"Ingot", func(ctx context.Context) (values, error) { return b.tftpLoad(ctx, file, clients, "") }}}
	dir := filepath.Dir(file)
	for _, p := range []struct {
		name, at string
		args     []string
	}{
		{"tftpd-hpa", tftpPort, []string{b.peer("in.tftpd"), "--ipv4", "--listen", "--foreground", "--address", "127.0.0.1:" + tftpPort, "--secure", "--user", "root", "/"}},
		{"atftpd", tftpPort, []string{b.peer("atftpd"), "--daemon", "--no-fork", "--user", "root", "--group", "root", "--bind-address", "127.0.0.1", "--port", tftpPort, "--maxthread", "1000", "--logfile", "-", dir}},
		{"dnsmasq", "69", []string{b.peer("dnsmasq"), "--no-daemon", "--conf-file=/dev/null", "--port=0", "--enable-tftp", "--tftp-root=/", "--tftp-max=1000", "--user=root"}},
	} {
		c.contestants = append(c.contestants, contestant{p.name, func(ctx context.Context) (v values, err error) {
			s, err := b.start(ctx, bound(p.at), nil, p.args...)
			if err != nil {
				return nil, err
			}
			defer func() { err = errors.Join(err, s.stop()) }()
			return b.tftpLoad(ctx, file, clients, "127.0.0.1:"+p.at)
		}})
	}
	return c
}

// bound reports whether a UDP port is taken, without taking it itself.
func bound(port string) func(*server) bool {
	return func(*server) bool {
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return false
		}
		table, err := os.ReadFile("/proc/net/udp")
		return err == nil && strings.Contains(string(table), fmt.Sprintf(":%04X 00000000:0000 ", number))
	}
}

// tftpLoad runs the load generator of pxe/tftp; without a server it starts ours.
func (b *bench) tftpLoad(ctx context.Context, file string, clients int, server string) (values, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	out, _, err := b.command(ctx, []string{"TFTP_LOAD_FILE=" + file, "TFTP_LOAD_CLIENTS=" + strconv.Itoa(clients), "TFTP_LOAD_SERVER=" + server},
		filepath.Join(b.bin, "tftp.test"), "-test.run=^TestLoad$", "-test.v")
	if err != nil {
		return nil, err
	}
	_, rest, ok := strings.Cut(out, "load: ")
	var rate float64
	if _, err := fmt.Sscan(rest, &rate); !ok || err != nil {
		return nil, fmt.Errorf("no result in %q", lastLines(out))
	}
	return values{"rate": rate}, nil
}

func randomFile(path string, sizeBytes int) error {
	data := make([]byte, sizeBytes)
	_, _ = rand.Read(data) // never fails (crypto/rand)
	return os.WriteFile(path, data, 0o644)
}
