// Package sbom writes the software bill of materials of an image: what is installed in
// it, as a CycloneDX document in JSON (https://cyclonedx.org/specification/overview/,
// version 1.6).
//
// The document depends on the image alone: the same image gives the same bytes.
package sbom

import (
	"fmt"
	"io"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"ingot/images/contents"
)

// Subject is the image that a document is about.
type Subject struct {
	// Name and Version are as in the inventory; ContentDigest ("sha256:HEX") is of the
	// disk's bytes, and the document's identity.
	Name, Version, ContentDigest string
	// OSID and OSVersion are "debian" and "12", OSName is for people.
	OSID, OSVersion, OSName string
	// Made is when the image's inputs are of, and no later clock.
	Made time.Time
	// Builder is the version of Ingot's image builder.
	Builder string
}

// Write writes the document: the image, and each package with its package URL
// (https://github.com/package-url/purl-spec).
func Write(w io.Writer, s Subject, packages []contents.Package) error {
	b := cdx.NewBOM()
	b.SerialNumber = serial(s.ContentDigest)
	image := cdx.Component{BOMRef: "image", Type: cdx.ComponentTypeOS, Name: s.Name, Version: s.Version, Description: s.OSName}
	if len(s.ContentDigest) == len("sha256:")+64 {
		image.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: s.ContentDigest[len("sha256:"):]}}
	}
	tool := cdx.Component{Type: cdx.ComponentTypeApplication, Name: "ingot", Version: s.Builder}
	b.Metadata = &cdx.Metadata{Timestamp: s.Made.UTC().Format(time.RFC3339), Component: &image, Tools: &cdx.ToolsChoice{Components: &[]cdx.Component{tool}}}
	components, refs := []cdx.Component{}, []string{}
	for _, p := range packages {
		c := component(p, s)
		components, refs = append(components, c), append(refs, c.BOMRef)
	}
	b.Components = &components
	b.Dependencies = &[]cdx.Dependency{{Ref: "image", Dependencies: &refs}}
	if err := cdx.NewBOMEncoder(w, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(b, cdx.SpecVersion1_6); err != nil {
		return fmt.Errorf("write bill of materials: %w", err)
	}
	return nil
}

func component(p contents.Package, s Subject) cdx.Component {
	url := packageURL(p, s.OSID, s.OSVersion)
	c := cdx.Component{BOMRef: url, Type: cdx.ComponentTypeLibrary, Name: p.Name, Version: p.Version, PackageURL: url}
	if p.Maintainer != "" {
		c.Supplier = &cdx.OrganizationalEntity{Name: p.Maintainer}
	}
	if p.Homepage != "" {
		c.ExternalReferences = &[]cdx.ExternalReference{{Type: cdx.ERTypeWebsite, URL: p.Homepage}}
	}
	if p.Source != "" {
		c.Properties = &[]cdx.Property{{Name: "ingot:source", Value: p.Source}, {Name: "ingot:sourceVersion", Value: p.SourceVersion}}
	}
	return c
}
