package libvirt

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
)

// A connection takes as many calls as libvirtd works on at a time, then there is another
// one, up to as many as it has workers for.
func TestLanes(t *testing.T) {
	nowhere := func(context.Context) (net.Conn, error) { return nil, io.EOF }
	l := &lanes{main: newLink(nowhere, "")}
	defer l.close()
	users := map[*link]int{}
	var releases []func()
	for range lanesMax*laneCalls + 1 {
		own, release := l.take()
		users[own]++
		releases = append(releases, release)
	}
	if len(users) != lanesMax || users[l.main] > 0 {
		t.Errorf("calls by connection: %v", users)
	}
	for _, release := range releases {
		release()
	}
	own, release := l.take()
	defer release()
	if l.all[0].link != own || l.all[0].busy != 1 {
		t.Error("when all is quiet, the first one is taken")
	}
	l.close()
	if _, err := own.session(t.Context()); !errors.Is(err, errClosed) {
		t.Errorf("after close: %v", err)
	}
}

// A port that was left is not joined by who comes late.
func TestLatePort(t *testing.T) {
	p := &port{joined: func() (io.ReadWriter, error) {
		t.Error("joined")
		return nil, nil
	}}
	p.leave()
	if _, err := p.Read(make([]byte, 1)); !errors.Is(err, errLeft) {
		t.Errorf("read: %v", err)
	}
	if n, err := p.Write([]byte("x")); n != 1 || err != nil {
		t.Errorf("write: %d, %v", n, err)
	}
}
