package main

import (
	"io"
	"net"
	"sync"
	"time"
)

// relay is an address that can be there or not.
type relay struct {
	to, addr string

	mu    sync.Mutex
	l     net.Listener
	conns []net.Conn
}

// open listens, at the same address as before.
func (r *relay) open() error {
	addr := r.addr
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp4", addr)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.l, r.addr = l, l.Addr().String()
	go r.accept(l)
	return nil
}

func (r *relay) accept(l net.Listener) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		out, err := net.DialTimeout("tcp4", r.to, time.Second)
		if err != nil {
			in.Close()
			continue
		}
		r.mu.Lock()
		r.conns = append(r.conns, in, out)
		r.mu.Unlock()
		for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
			go func() {
				defer pair[0].Close()
				_, _ = io.Copy(pair[0], pair[1]) // ends when either does
			}()
		}
	}
}

// close cuts all off.
func (r *relay) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.l.Close() // may be closed
	for _, c := range r.conns {
		_ = c.Close() // may be closed
	}
	r.conns = nil
}
