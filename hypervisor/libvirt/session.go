package libvirt

import (
	"context"
	"fmt"
	"net"
	"sync"

	lv "github.com/digitalocean/go-libvirt"
	"github.com/digitalocean/go-libvirt/socket/dialers"
)

// session is one connection to libvirtd. The binding's own Disconnect asks the daemon
// first, which may hang, so a session ends by closing the connection below it.
type session struct {
	rpc  *lv.Libvirt
	conn *watchedConn
}

// watchedConn knows when it is of no more use: the binding notices by itself only when it
// is asked.
type watchedConn struct {
	net.Conn
	gone chan struct{}
	once sync.Once
}

// Read implements net.Conn.
func (c *watchedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil {
		c.once.Do(func() { close(c.gone) })
	}
	return n, err
}

// Close implements net.Conn.
func (c *watchedConn) Close() error {
	c.once.Do(func() { close(c.gone) })
	return c.Conn.Close()
}

// connect makes a session: the binding's part runs beside, and ends when ctx does because
// the connection below it is closed then.
func connect(ctx context.Context, dial dialFunc, uri lv.ConnectURI) (*session, error) {
	conn, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	s := &session{conn: &watchedConn{Conn: conn, gone: make(chan struct{})}}
	s.rpc = lv.NewWithDialer(dialers.NewAlreadyConnected(s.conn))
	stop := context.AfterFunc(ctx, func() { s.conn.Close() })
	err = s.rpc.ConnectToURI(uri)
	if !stop() && ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		s.conn.Close()
		return nil, why(conn, failure(fmt.Sprintf("open %s", uri), err))
	}
	return s, nil
}

// alive tells whether the connection was not seen to end.
func (s *session) alive() bool {
	select {
	case <-s.conn.gone:
		return false
	default:
		return true
	}
}

func (s *session) close() { s.conn.Close() }
