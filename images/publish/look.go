package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"ingot/images/contents"
	"ingot/images/lint"
	"ingot/images/master"
	"ingot/images/sbom"
	"ingot/inventory"
)

// look is what was seen in a disk.
type look struct {
	disk     *contents.Disk
	findings lint.Findings
	packages []contents.Package
	listing  []byte
}

func lintOptions(t master.Traits) lint.Options {
	has := func(m master.BootMode) bool { return slices.Contains(t.BootModes, m) }
	return lint.Options{UEFI: has(master.BootUEFI) || has(master.BootSecureBoot), BIOS: has(master.BootBIOS), CloudInit: t.FirstBoot == master.FirstBootCloudInit}
}

// inspect reads partitions and packages, and holds the disk against the checks.
func inspect(ctx context.Context, disk io.ReaderAt, sizeBytes int64, t master.Traits) (l look, err error) {
	if l.disk, err = contents.Open(disk, sizeBytes, t.SectorBytes); err != nil {
		return l, err
	}
	if l.findings, err = lint.Check(ctx, l.disk, lintOptions(t)); err != nil {
		return l, err
	}
	l.packages, err = l.disk.Packages()
	return l, err
}

// list lists the files.
func (l *look) list(ctx context.Context) error {
	files, err := l.disk.List(ctx)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	err = contents.WriteListing(&out, files)
	l.listing = out.Bytes()
	return err
}

// refuse says all that failed, and how to mend it.
func refuse(findings lint.Findings) error {
	var text string
	for _, f := range findings.Failed() {
		text += fmt.Sprintf("\n  %s: %s\n    → %s", f.Check, f.Detail, f.Fix)
	}
	if text == "" {
		return nil
	}
	return inventory.Invalid("the image is not clean, and was not kept:%s", text)
}

// describe puts the bill of materials and the list of files beside an image.
func (p *Publisher) describe(ctx context.Context, image inventory.Image, l look) error {
	id, version, name := l.disk.OS()
	subject := sbom.Subject{Name: image.Name, Version: image.Version, ContentDigest: image.ContentDigest, OSID: id, OSVersion: version, OSName: name,
		Made: image.Created.Truncate(time.Second), Builder: image.Builder}
	var bill bytes.Buffer
	if err := sbom.Write(&bill, subject, l.packages); err != nil {
		return err
	}
	return errors.Join(p.Store.AddFile(ctx, image.Digest, SBOMFile, bill.Bytes()), p.Store.AddFile(ctx, image.Digest, ListingFile, l.listing))
}
