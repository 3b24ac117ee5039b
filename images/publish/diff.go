package publish

import (
	"context"
	"errors"
	"fmt"

	"ingot/images/contents"
	"ingot/images/lint"
	"ingot/images/master"
	"ingot/inventory"
)

// seen is an image of the store, open to be looked into.
type seen struct {
	*contents.Disk
	close func() error
}

func (p *Publisher) open(ctx context.Context, ref string) (inventory.Image, seen, error) {
	image, err := p.Store.Get(ctx, ref)
	if err != nil {
		return image, seen{}, err
	}
	m, err := p.Store.Open(image.Digest)
	if err != nil {
		return image, seen{}, err
	}
	disk, err := contents.Open(m.Disk(), m.Manifest.LogicalBytes, m.Manifest.SectorBytes)
	if err != nil {
		return image, seen{}, errors.Join(err, m.Close())
	}
	return image, seen{disk, m.Close}, nil
}

// LintImage looks into an image of the store.
func (p *Publisher) LintImage(ctx context.Context, ref string) (lint.Findings, error) {
	image, s, err := p.open(ctx, ref)
	if err != nil {
		return nil, err
	}
	findings, err := lint.Check(ctx, s.Disk, lintOptions(traitsOf(image)))
	return findings, errors.Join(err, s.close())
}

func traitsOf(image inventory.Image) master.Traits {
	t := master.Traits{SectorBytes: image.LogicalSectorBytes, FirstBoot: master.FirstBoot(image.FirstBoot), GrowPartition: image.GrowPartition}
	for _, m := range image.BootModes {
		t.BootModes = append(t.BootModes, master.BootMode(m))
	}
	return t
}

// Diff says what changed from one image to another.
func (p *Publisher) Diff(ctx context.Context, from, to string) (contents.Diff, error) {
	var packages [2][]contents.Package
	var files [2][]contents.File
	for i, ref := range []string{from, to} {
		image, s, err := p.open(ctx, ref)
		if err != nil {
			return contents.Diff{}, err
		}
		if s.Root == nil {
			err = fmt.Errorf("image %s: %s: %w", ref, s.RootProblem, inventory.ErrUnsupported)
		} else if packages[i], err = s.Packages(); err == nil {
			files[i], err = p.files(ctx, image, s)
		}
		if err := errors.Join(err, s.close()); err != nil {
			return contents.Diff{}, err
		}
	}
	return contents.Compare(packages[0], packages[1], files[0], files[1]), nil
}

// files is the listing beside an image, or one that is made now.
func (p *Publisher) files(ctx context.Context, image inventory.Image, s seen) ([]contents.File, error) {
	f, err := p.Store.File(image.Digest, ListingFile)
	if errors.Is(err, inventory.ErrNotFound) {
		return s.List(ctx)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return contents.ReadListing(f)
}
