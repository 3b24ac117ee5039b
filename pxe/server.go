package pxe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"ingot/inventory"
	"ingot/pxe/dhcp"
	"ingot/pxe/httpboot"
	"ingot/pxe/netboot"
	"ingot/pxe/tftp"
)

// Config is what the boot server is made of.
type Config struct {
	Store    inventory.Store
	Table    *netboot.Table
	Recorder *netboot.Recorder
	Boot     BootSet
	Leases   dhcp.Leases
	// Interfaces are served; DHCP and TFTP bind to them.
	Interfaces []string
	// TFTPPort is 69 but in tests.
	TFTPPort int
	Now      func() time.Time
	Log      *slog.Logger
	// Mount adds routes to the machine listener; nil adds none.
	Mount func(handle func(pattern string, h http.Handler))
	// Machine are the machine listener's sockets.
	Machine []net.Listener
}

// Server is the boot server.
type Server struct {
	cfg  Config
	log  *slog.Logger
	dhcp *dhcp.Server
	say  *announcer

	links []*dhcp.Link
	conns []*net.UDPConn
}

// New returns a boot server that is not yet listening.
func New(cfg Config) (*Server, error) {
	s := &Server{cfg: cfg, log: cfg.Log, say: newAnnouncer(cfg.Store, cfg.Now)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	b := booter{cfg.Table, cfg.Recorder}
	var err error
	s.dhcp, err = dhcp.New(dhcp.Config{Booter: b, Machines: b, Leases: cfg.Leases, Observer: cfg.Recorder, Announcer: s.say,
		Log: s.log.With("component", "dhcp"), Now: cfg.Now})
	if err != nil {
		return nil, fmt.Errorf("make DHCP server: %w", err)
	}
	return s, nil
}

// DHCP is for handing it networks and addresses.
func (s *Server) DHCP() *dhcp.Server { return s.dhcp }

// Run answers until ctx ends; Open comes first. The machine listener runs with DHCP off
// too.
func (s *Server) Run(ctx context.Context) error {
	files, h, err := s.fileServers()
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.cfg.Recorder.Run(ctx) })
	g.Go(func() error {
		return s.say.run(ctx, func(err error) { s.log.Error("store event", "err", err) })
	})
	if len(s.links) > 0 {
		g.Go(func() error { return s.dhcp.Run(ctx, s.links...) })
	}
	g.Go(func() error { return files.Run(ctx, s.conns...) })
	g.Go(func() error { return h.Run(ctx, s.cfg.Machine...) })
	return g.Wait()
}

// fileServers are TFTP and the machine listener, over the same files.
func (s *Server) fileServers() (*tftp.Server, *httpboot.Server, error) {
	f := files{s.cfg.Boot, s.cfg.Table, s.cfg.Recorder, localTo}
	byTFTP := tftpFiles{f, new(tftp.Shared)}
	t, err := tftp.New(tftp.Config{Files: byTFTP, Observer: byTFTP, Log: s.log.With("component", "tftp"), Now: s.cfg.Now})
	if err != nil {
		return nil, nil, err
	}
	h := httpboot.New(httpboot.Config{Log: s.log.With("component", "http")})
	s.mount(h, httpFiles{f})
	if s.cfg.Mount != nil {
		s.cfg.Mount(h.Handle)
	}
	return t, h, nil
}

// Open binds the sockets of DHCP and TFTP; Run closes them. A port that is taken is
// inventory.ErrBusy.
func (s *Server) Open() error {
	for _, name := range s.cfg.Interfaces {
		if err := s.openOn(name); err != nil {
			for _, l := range s.links {
				err = errors.Join(err, l.Close())
			}
			for _, c := range s.conns {
				err = errors.Join(err, c.Close())
			}
			return err
		}
	}
	return nil
}

func (s *Server) openOn(iface string) error {
	l, err := dhcp.Open(iface)
	if err != nil {
		return err
	}
	s.links = append(s.links, l)
	c, err := tftp.Listen(iface, netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(s.cfg.TFTPPort)))
	if err != nil {
		return err
	}
	s.conns = append(s.conns, c)
	return nil
}

// localTo is the address that this host uses towards another.
func localTo(client netip.Addr) netip.Addr {
	conn, err := net.Dial("udp4", netip.AddrPortFrom(client, 9).String())
	if err != nil {
		return netip.Addr{}
	}
	defer conn.Close()
	ap, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr()
}

func lengthText(b []byte) string { return strconv.Itoa(len(b)) }
