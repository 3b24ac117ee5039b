package metal

import (
	"context"
	"errors"
	"fmt"

	"ingot/inventory"
	"ingot/inventory/seed"
	"ingot/pxe/agentapi"
)

// deploy makes the write order: image by digest, disk by hint, the packed seed.
func (o *Orders) deploy(ctx context.Context, x inventory.Tx, m *inventory.Machine, a agentapi.Ask) (*agentapi.Deploy, error) {
	image, err := imageOf(ctx, x, m.Spec.ImageDigest)
	if err != nil {
		return nil, err
	}
	d := &agentapi.Deploy{
		Image: image.Name + "@" + image.Digest, Digest: image.Digest,
		ManifestPath: "/images/" + image.Digest + "/manifest.json", DataPath: "/images/" + image.Digest + "/data",
		Disk: m.Spec.Disk, Overwrite: m.Spec.Overwrite, Verify: m.Spec.Verify, NetworkFirst: m.Spec.NetworkFirst, Machine: m.ID,
	}
	if o.Trust != nil {
		if d.TrustedKeys, d.Signatures, err = o.Trust(image.Digest); err != nil {
			return nil, err
		}
	}
	if image.FirstBoot == "none" {
		return d, nil
	}
	d.Seed, err = o.seed(ctx, x, m, image, a)
	return d, err
}

func imageOf(ctx context.Context, x inventory.Tx, digest string) (inventory.Image, error) {
	images, err := x.Images(ctx)
	if err != nil {
		return inventory.Image{}, err
	}
	for _, image := range images {
		if image.Digest == digest {
			return image, nil
		}
	}
	return inventory.Image{}, inventory.NotFound("image", digest)
}

func (o *Orders) seed(ctx context.Context, x inventory.Tx, m *inventory.Machine, image inventory.Image, a agentapi.Ask) ([]byte, error) {
	userData, err := x.UserData(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	facts, err := x.Facts(ctx, m.ID, 0)
	if err != nil && !errors.Is(err, inventory.ErrNotFound) {
		return nil, err
	}
	in := seed.Input{Machine: m, UserData: userData, PhoneHomeURL: o.PhoneHomeURL(a.Local, m.ID, m.Spec.Generation)}
	if facts != nil {
		in.NICs = facts.NICs
	}
	networks, err := x.Networks(ctx)
	if err != nil {
		return nil, err
	}
	for i, n := range networks {
		if n.Subnet.Contains(m.Status.Agent.Address) {
			in.Network = &networks[i]
		}
	}
	docs, err := seed.Make(in)
	if err != nil {
		return nil, err
	}
	packed, err := seed.Pack(docs, image.LogicalSectorBytes)
	if err != nil {
		return nil, fmt.Errorf("seed of %s: %w", m.Name, err)
	}
	return agentapi.PackSeed(packed)
}
