package rest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"ingot/inventory"
	"ingot/inventory/api"
)

// console joins the caller to a machine's serial port: the connection is upgraded (RFC 9110
// section 7.8) once the port is there, and carries its bytes both ways until either ends.
func (s *Server) console(w http.ResponseWriter, r *http.Request) {
	force, _ := strconv.ParseBool(r.URL.Query().Get("force"))
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	var conn net.Conn
	err := s.changeVM(ctx, r.PathValue("name"), func(m *inventory.Machine) error {
		if r.Header.Get("Upgrade") != api.ConsoleProtocol {
			return inventory.Invalid("a console needs the header Upgrade: %s", api.ConsoleProtocol)
		}
		return s.Hosts.Console(ctx, m, force, func() (io.ReadWriter, error) {
			rw, c, err := upgrade(w)
			if conn = c; c != nil {
				context.AfterFunc(ctx, func() { c.Close() }) // a peer that does not read holds nobody up
			}
			return rw, err
		})
	})
	if conn == nil {
		if err == nil {
			err = fmt.Errorf("the console ended before it began: %w", inventory.ErrBusy)
		}
		s.refuse(w, err)
		return
	}
	defer conn.Close()
	if err != nil && ctx.Err() == nil {
		fmt.Fprintf(conn, "\r\n%v\r\n", err)
	}
}

// joined reads what the caller sent along with the request before the rest.
type joined struct {
	net.Conn
	in *bufio.Reader
}

// Read implements io.Reader.
func (j joined) Read(b []byte) (int, error) { return j.in.Read(b) }

// upgrade takes the connection from the HTTP server.
func upgrade(w http.ResponseWriter) (io.ReadWriter, net.Conn, error) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("take over connection: %w", err)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil, conn, fmt.Errorf("take over connection: %w", err)
	}
	if _, err := fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", api.ConsoleProtocol); err != nil {
		return nil, conn, fmt.Errorf("take over connection: %w", err)
	}
	return joined{conn, rw.Reader}, conn, nil
}
