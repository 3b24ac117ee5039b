package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

const (
	oursAt  = "127.0.0.1:8081"
	nginxAt = "127.0.0.1:8082"
)

// httpContests: an image's data file from the page cache; the clients drop what comes in
// the kernel, so that they take little of the machine.
func httpContests(ctx context.Context, b *bench) ([]*contest, error) {
	sizeMiB := 1024
	if b.quick {
		sizeMiB = 256
	}
	dir := filepath.Join(b.scratch, "http")
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(b.scratch, 0o755), randomFile(filepath.Join(dir, "image"), sizeMiB<<20)); err != nil {
		return nil, err
	}
	image, err := storeImage(ctx, dir, filepath.Join(dir, "image"))
	if err != nil {
		return nil, err
	}
	var out []*contest
	for _, clients := range []int{1, 16} {
		c := &contest{title: fmt.Sprintf("HTTP image serving, %d client(s)", clients),
			figures: []figure{{"rate", "GB/s", true}, {"server CPU", "s per GiB", false}},
			targets: []target{{"rate", 1, best}, {"server CPU", 1, best}}}
		bytes := int64(4<<30) / int64(clients)
		if b.quick {
			bytes = int64(1<<30) / int64(clients)
		}
		c.contestants = []contestant{
			{"Ingot", func(ctx context.Context) (values, error) {
				return b.download(ctx, b.oursArgs(dir), oursAt, image+"/data", clients, bytes)
			}},
			{"nginx, sendfile", func(ctx context.Context) (values, error) {
				args, err := b.nginxArgs(dir)
				if err != nil {
					return nil, err
				}
				return b.download(ctx, args, nginxAt, "/image", clients, bytes)
			}},
		}
		out = append(out, c)
	}
	return out, nil
}

// oursArgs run the machine listener with its file handler over a folder, in a process of
// its own.
func (b *bench) oursArgs(dir string) []string {
	return []string{b.part(), "serve", oursAt, dir}
}

// part is the program that runs what is measured of Ingot in a process of its own.
func (b *bench) part() string { return filepath.Join(b.bin, "benchpart") }

const nginxConfig = `daemon off; pid %[1]s/nginx.pid; worker_processes auto; error_log stderr; user root;
events { worker_connections 1024; }
http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000;
 client_body_temp_path %[1]s/nb; proxy_temp_path %[1]s/np; fastcgi_temp_path %[1]s/nf; uwsgi_temp_path %[1]s/nu; scgi_temp_path %[1]s/ns;
 server { listen %[2]s; root %[3]s; } }
`

func (b *bench) nginxArgs(dir string) ([]string, error) {
	file := filepath.Join(b.scratch, "nginx.conf")
	err := os.WriteFile(file, fmt.Appendf(nil, nginxConfig, b.scratch, nginxAt, dir), 0o600)
	return []string{b.peer("nginx"), "-c", file, "-p", b.scratch, "-e", "stderr"}, err
}

// download starts a server and fetches bytes with each of the clients.
func (b *bench) download(ctx context.Context, args []string, at, path string, clients int, bytes int64) (v values, err error) {
	s, err := b.start(ctx, listens(at), nil, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if _, err := drain(ctx, at, path, 1); err != nil { // warm up
		return nil, err
	}
	before, err := s.cpu()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	var total atomic.Int64
	var fetching errgroup.Group
	for range clients {
		fetching.Go(func() error {
			n, err := drain(ctx, at, path, bytes)
			total.Add(n)
			return err
		})
	}
	if err := fetching.Wait(); err != nil {
		return nil, err
	}
	took := time.Since(start)
	after, err := s.cpu()
	if err != nil {
		return nil, err
	}
	return values{"rate": float64(total.Load()) / 1e9 / took.Seconds(),
		"server CPU": (after - before).Seconds() / (float64(total.Load()) / (1 << 30))}, nil
}

// drain asks for the image again and again until it has bytes of it.
func drain(ctx context.Context, at, path string, bytes int64) (total int64, err error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp4", at)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	for total < bytes {
		if _, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: bench\r\n\r\n"); err != nil {
			return total, err
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return total, err
		}
		if resp.StatusCode != http.StatusOK {
			return total, errors.New(resp.Status)
		}
		got := int64(r.Buffered())
		if _, err := r.Discard(int(got)); err != nil {
			return total, err
		}
		if err := drop(conn.(*net.TCPConn), resp.ContentLength-got); err != nil {
			return total, err
		}
		total += resp.ContentLength
	}
	return total, nil
}

// drop has the kernel throw n bytes away (MSG_TRUNC on TCP copies nothing).
func drop(conn *net.TCPConn, n int64) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	buf := make([]byte, 1<<20)
	for n > 0 {
		var got int
		var rerr error
		err := raw.Read(func(fd uintptr) bool {
			got, _, rerr = unix.Recvfrom(int(fd), buf[:min(n, int64(len(buf)))], unix.MSG_TRUNC)
			return !errors.Is(rerr, syscall.EAGAIN)
		})
		if err = errors.Join(err, rerr); err != nil {
			return err
		}
		if got <= 0 {
			return io.ErrUnexpectedEOF
		}
		n -= int64(got)
	}
	return nil
}
