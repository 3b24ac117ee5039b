package rest

import (
	"context"
	"net/http"

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
			err := s.Store.Update(ctx, func(x inventory.Tx) error { return x.PutNetwork(ctx, in.Body) })
			if err == nil {
				err = s.NetworksChanged(ctx)
			}
			if err != nil {
				return nil, status(err)
			}
			return nil, nil
		})
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

func (s *Server) listLeases(ctx context.Context, _ *struct{}) (as []inventory.Address, err error) {
	err = s.Store.View(ctx, func(x inventory.Tx) error {
		as, err = x.Addresses(ctx, "")
		return err
	})
	if as == nil {
		as = []inventory.Address{}
	}
	return as, err
}
