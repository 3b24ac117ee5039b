package rest

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"ingot/inventory"
	"ingot/inventory/api"
	"ingot/inventory/lifecycle"
)

func (s *Server) catalog(h huma.API) {
	get(h, "/images", "list-images", s.listImages)
	get(h, "/images/{name}", "get-image", s.getImage)
	get(h, "/networks", "list-networks", s.listNetworks)
	get(h, "/leases", "list-leases", s.listLeases)
	huma.Register(h, huma.Operation{OperationID: "put-network", Method: http.MethodPut, Path: "/api/v1/networks/{name}"},
		func(ctx context.Context, in *networkInput) (*struct{}, error) {
			if in.Body.Name != in.Name {
				return nil, status(inventory.Invalid("network %q at the address of %q", in.Body.Name, in.Name))
			}
			err := s.Store.Update(ctx, func(x inventory.Tx) error {
				have, err := x.Networks(ctx)
				if err == nil {
					err = in.Body.CheckBeside(have, func(other string) string { return "ingot network remove " + other })
				}
				if err != nil {
					return err
				}
				return x.PutNetwork(ctx, in.Body)
			})
			if err == nil {
				err = s.NetworksChanged(ctx)
			}
			if err != nil {
				return nil, status(err)
			}
			return nil, nil
		})
	huma.Register(h, huma.Operation{OperationID: "delete-network", Method: http.MethodDelete, Path: "/api/v1/networks/{name}"},
		nothing(func(ctx context.Context, in *named) error { return s.deleteNetwork(ctx, in.Name) }))
}

// deleteNetwork refuses one whose addresses are in use.
func (s *Server) deleteNetwork(ctx context.Context, name string) error {
	err := s.Store.Update(ctx, func(x inventory.Tx) error {
		all, err := x.Addresses(ctx, name)
		if err != nil {
			return err
		}
		all = slices.DeleteFunc(all, func(a inventory.Address) bool { return !a.Active(s.Now()) })
		if len(all) > 0 {
			return fmt.Errorf("network %s: %d of its addresses are in use, %s for one (ingot lease list): %w", name, len(all), all[0].IP, inventory.ErrBusy)
		}
		return x.DeleteNetwork(ctx, name)
	})
	if err != nil {
		return err
	}
	return s.NetworksChanged(ctx)
}

type networkInput struct {
	Name string `path:"name"`
	Body inventory.Network
}

func (s *Server) listImages(ctx context.Context, _ *struct{}) ([]api.ImageRow, error) {
	rows := []api.ImageRow{}
	err := s.Store.View(ctx, func(x inventory.Tx) error {
		images, err := x.Images(ctx)
		if err != nil {
			return err
		}
		channels, err := x.Channels(ctx)
		for _, image := range images {
			row := api.ImageRow{Image: image}
			for _, c := range channels {
				if c.Name == image.Name && c.Digest == image.Digest {
					row.Channels = append(row.Channels, c.Channel)
				}
			}
			rows = append(rows, row)
		}
		return err
	})
	return rows, err
}

func (s *Server) getImage(ctx context.Context, in *named) (image inventory.Image, err error) {
	err = s.Store.View(ctx, func(x inventory.Tx) error {
		image, err = lifecycle.ResolveImage(ctx, x, in.Name)
		return err
	})
	return image, err
}

func (s *Server) listNetworks(ctx context.Context, _ *struct{}) ([]api.NetworkRow, error) {
	rows := []api.NetworkRow{}
	err := s.Store.View(ctx, func(x inventory.Tx) error {
		ns, err := x.Networks(ctx)
		for _, n := range ns {
			rows = append(rows, api.NetworkRow{Network: n, DHCPNow: s.DHCPNow(n)})
		}
		return err
	})
	return rows, err
}

// listLeases has the networks' reservations too, which have no row before they are used.
func (s *Server) listLeases(ctx context.Context, _ *struct{}) (as []inventory.Address, err error) {
	err = s.Store.View(ctx, func(x inventory.Tx) error {
		if as, err = x.Addresses(ctx, ""); err != nil {
			return err
		}
		ns, err := x.Networks(ctx)
		taken := map[netip.Addr]bool{}
		for _, a := range as {
			taken[a.IP] = true
		}
		for _, n := range ns {
			for _, r := range n.Reservations {
				if !taken[r.IP] {
					as = append(as, inventory.Address{IP: r.IP, Network: n.Name, Use: inventory.AddressReserved, MAC: r.MAC, ClientID: r.ClientID, Hostname: r.Hostname})
				}
			}
		}
		slices.SortFunc(as, func(a, b inventory.Address) int { return a.IP.Compare(b.IP) })
		return err
	})
	if as == nil {
		as = []inventory.Address{}
	}
	return as, err
}
