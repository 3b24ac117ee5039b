package lifecycle

import (
	"context"

	"ingot/inventory"
	"ingot/inventory/seed"
)

// DeployOrder is what a person asks for.
type DeployOrder struct {
	Image     string             `json:"image"`
	Hostname  string             `json:"hostname,omitempty"`
	Disk      inventory.DiskHint `json:"disk"`
	Overwrite bool               `json:"overwrite,omitempty"`
	Verify    bool               `json:"verify,omitempty"`
	SSHKeys   []string           `json:"sshKeys,omitempty"`
	// UserData is the cloud-init document, nil for none.
	UserData     []byte                    `json:"userData,omitempty"`
	Addresses    []inventory.StaticAddress `json:"addresses,omitempty"`
	NetworkFirst bool                      `json:"networkFirst,omitempty"`
	// By is who asked, for the timeline.
	By string `json:"-"`
}

// Deploy orders an image onto a machine. All that can be checked from the facts is
// checked now, before anything is changed: the image exists, one disk fits the hint,
// is large enough and has the image's sector size, the firmware can boot it.
func (l *Lifecycle) Deploy(ctx context.Context, name string, o DeployOrder) (*inventory.Machine, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	return l.edit(ctx, name, func(c *change) error {
		if err := mayWrite(c.m); err != nil {
			return err
		}
		image, err := ResolveImage(ctx, c.x, o.Image)
		if err != nil {
			return err
		}
		if err := c.checkFit(o, image); err != nil {
			return err
		}
		c.order(o, image)
		return c.err
	})
}

// check is what can be said of an order by itself.
func (o DeployOrder) check() error {
	if o.Hostname != "" {
		if err := inventory.CheckHostname(o.Hostname); err != nil {
			return err
		}
	}
	return seed.CheckUserData(o.UserData)
}

func (c *change) order(o DeployOrder, image inventory.Image) {
	s := &c.m.Spec
	s.Image, s.ImageDigest = o.Image, image.Digest
	s.Disk, s.Overwrite, s.Verify = o.Disk, o.Overwrite, o.Verify
	s.SSHKeys, s.Addresses, s.NetworkFirst = o.SSHKeys, o.Addresses, o.NetworkFirst
	if o.Hostname != "" {
		s.Hostname = o.Hostname
	}
	s.UserData = append([]byte{}, o.UserData...)
	s.Generation++
	c.m.Status.Report, c.m.Status.PhoneHome, c.m.Status.OrderedAt = nil, nil, c.now
	c.m.Status.FirstBootNone = image.FirstBoot == "none"
	c.add(inventory.Ordered{Order: "deploy", Generation: s.Generation, Image: image.Name + "@" + short(image.Digest), By: o.By})
	c.apply(inventory.TriggerDeploy)
}

func short(digest string) string { return digest[:min(len(digest), len("sha256:")+12)] }

// Redeploy orders another version of an image onto a machine that was deployed before, or
// is being deployed; all else that was asked of it stays.
func (l *Lifecycle) Redeploy(ctx context.Context, name, image, by string) (*inventory.Machine, error) {
	return l.edit(ctx, name, func(c *change) error {
		if err := mayWrite(c.m); err != nil {
			return err
		}
		found, err := ResolveImage(ctx, c.x, image)
		if err != nil {
			return err
		}
		s := c.m.Spec
		o := DeployOrder{Image: image, Hostname: s.Hostname, Disk: s.Disk, Overwrite: s.Overwrite, Verify: s.Verify, SSHKeys: s.SSHKeys,
			Addresses: s.Addresses, NetworkFirst: s.NetworkFirst, By: by}
		if err := c.checkFit(o, found); err != nil {
			return err
		}
		if o.UserData, err = c.x.UserData(ctx, c.m.ID); err != nil {
			return err
		}
		c.order(o, found)
		return c.err
	})
}
