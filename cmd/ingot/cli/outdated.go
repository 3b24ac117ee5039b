package cli

import (
	"context"

	"ingot/inventory"
	"ingot/inventory/api"
)

// newest maps the references that machines can follow to the versions they mean now.
func newest(ctx context.Context, c *api.Client) (map[string]inventory.Image, error) {
	rows, err := c.Images(ctx)
	if err != nil {
		return nil, err
	}
	now := map[string]inventory.Image{}
	for _, row := range rows {
		for _, channel := range row.Channels {
			now[row.Name+":"+channel] = row.Image
		}
	}
	return now, nil
}

// newer is the version that a machine's reference means now, when it has another one. A
// machine that was given a version by its digest follows nothing.
func newer(m inventory.Machine, now map[string]inventory.Image) (inventory.Image, bool) {
	ref, err := inventory.ParseImageRef(m.Spec.Image)
	if err != nil || m.Status.ImageDigest == "" {
		return inventory.Image{}, false
	}
	image, ok := now[ref.String()]
	return image, ok && image.Digest != m.Status.ImageDigest
}

// outdated keeps the machines whose image has a newer version, and says which.
func outdated(ms []inventory.Machine, now map[string]inventory.Image) []inventory.Machine {
	kept := []inventory.Machine{}
	for _, m := range ms {
		if _, is := newer(m, now); is {
			kept = append(kept, m)
		}
	}
	return kept
}
