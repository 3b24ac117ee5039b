package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"ingot/images/master"
	"ingot/images/sign"
	"ingot/inventory"
	"ingot/pxe/agentapi"
)

// deploy writes the image, the seed and the boot order.
func (a *Agent) deploy(ctx context.Context, o agentapi.Order, rep *inventory.Report) error {
	d := o.Deploy
	if d == nil {
		return refuse("deploy order without its particulars")
	}
	disks, err := a.machine.disks(ctx)
	if err != nil {
		return err
	}
	chosen, err := d.Disk.Choose(disks)
	if err != nil {
		return err
	}
	rep.Disk = fmt.Sprintf("/dev/%s (%s, %s)", chosen.Name, strings.TrimSpace(chosen.Model+" "+chosen.Serial), inventory.FormatBytes(chosen.SizeBytes))
	m, err := a.manifest(ctx, d)
	if err != nil {
		return err
	}
	seed, err := agentapi.UnpackSeed(d.Seed)
	if err != nil {
		return refuse("%v", err)
	}
	target, err := a.machine.open(chosen.Name)
	if err != nil {
		return err
	}
	err = a.writeDisk(ctx, &job{order: o, manifest: m, seed: seed, disk: target, report: rep})
	return errors.Join(err, target.Close())
}

// manifest fetches the image's manifest and holds it against the digest of the order.
func (a *Agent) manifest(ctx context.Context, d *agentapi.Deploy) (*master.Manifest, error) {
	want, err := master.ParseDigest(d.Digest)
	if err != nil {
		return nil, refuse("order names image digest %q: %v", d.Digest, err)
	}
	doc, err := a.fetch.get(ctx, a.params.HTTP+d.ManifestPath, master.MaxManifestBytes)
	if err != nil {
		return nil, fmt.Errorf("manifest of %s: %w", d.Image, err)
	}
	m, err := master.ParseManifestDigest(doc, want)
	if err != nil {
		return nil, err
	}
	return m, trusted(d, doc)
}

// trusted refuses an image that none of the order's keys has signed.
func trusted(d *agentapi.Deploy, manifest []byte) error {
	keys, err := sign.ParseKeys(d.TrustedKeys)
	if err != nil {
		return refuse("order: %v", err)
	}
	signatures := map[string][]byte{}
	for i, s := range d.Signatures {
		signatures[fmt.Sprint(i)] = []byte(s)
	}
	if err := keys.Trust(manifest, signatures); err != nil {
		return refuse("%s: %v", d.Image, err)
	}
	return nil
}

// bootOrderOf sets the boot order of a disk that was written before: the power may have
// gone between the two.
func (a *Agent) bootOrderOf(j *job) error {
	table, err := master.ReadTable(j.disk, j.disk.SizeBytes(), j.disk.SectorBytes())
	if err != nil {
		return nil //nolint:nilerr // no GUID partition table, so no EFI system partition
	}
	return a.bootOrder(j.order, findESP(table))
}
