package build

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"ingot/images/master"
	"ingot/inventory"
)

// Inputs is inputs.json: everything outside of the recipe that an image was made from.
// Given as [Options].Pinned, the next build uses exactly the same, without a network.
type Inputs struct {
	// Snapshot is the time of the archive, when it is a snapshot archive.
	Snapshot string `json:"snapshot,omitempty"`
	// Indexes are the signed lists of the archive that the packages were found by: InRelease
	// and Packages files.
	Indexes []Index `json:"indexes,omitempty"`
	// PackagesIndex is the digest of the index of Packages that the cache keeps: the
	// archive's own paragraphs, only those.
	PackagesIndex string    `json:"packagesIndex,omitempty"`
	Packages      []Package `json:"packages,omitempty"`
	// Files are images, kernels and the like, by their key in the recipe.
	Files []InputFile `json:"files,omitempty"`
	// Tools are packages of the building machine that bytes of the image come from (boot
	// loaders) or are laid out by.
	Tools []Tool `json:"tools,omitempty"`
}

// Index is a list of the archive.
type Index struct {
	URL    string `json:"url"`
	SHA256 string `json:"sha256"`
}

// Package is a Debian package.
type Package struct {
	Name         string `json:"name"`
	Version      string `json:"version"`
	Architecture string `json:"architecture"`
	SizeBytes    int64  `json:"sizeBytes"`
	SHA256       string `json:"sha256"`
	URL          string `json:"url"`
}

// InputFile is a file that the recipe names.
type InputFile struct {
	Key    string `json:"key"`
	SHA256 string `json:"sha256"`
	URL    string `json:"url,omitempty"`
}

// Tool is an installed package.
type Tool struct {
	Package string `json:"package"`
	Version string `json:"version"`
}

// ParseInputs reads inputs.json. It is inventory.ErrInvalid when it is something else.
func ParseInputs(document []byte) (Inputs, error) {
	var in Inputs
	if err := json.Unmarshal(document, &in); err != nil {
		return in, inventory.Invalid("read pinned inputs: %v", err)
	}
	if in.PackagesIndex != "" && !ociDigest.MatchString(in.PackagesIndex) {
		return in, inventory.Invalid("read pinned inputs: packagesIndex %q is not a digest", in.PackagesIndex)
	}
	for _, p := range in.Packages {
		if !hexDigest.MatchString(p.SHA256) || !packageName.MatchString(p.Name) || strings.ContainsAny(p.Version+p.Architecture, "/\n ") {
			return in, inventory.Invalid("read pinned inputs: package %q: no name, version or SHA-256", p.Name)
		}
	}
	return in, nil
}

// Digest covers what can change the image: packages, files and tools. Indexes are left
// out: they prove where a package is from, and are signed anew each day.
func (in Inputs) Digest() master.Digest {
	in.Indexes, in.Snapshot = nil, ""
	in.Packages = slices.Clone(in.Packages)
	for i := range in.Packages {
		in.Packages[i].URL = ""
	}
	document, err := json.Marshal(in)
	if err != nil {
		panic("build: " + err.Error())
	}
	return master.DigestOf(document)
}

// hostTools are the versions of the packages in tools.
func hostTools(ctx context.Context) ([]Tool, error) {
	var names []string
	for _, tool := range tools {
		if !slices.Contains(names, tool.pkg) {
			names = append(names, tool.pkg)
		}
	}
	slices.Sort(names)
	cmd := exec.CommandContext(ctx, "dpkg-query", append([]string{"-W", "-f", "${Package} ${Version}\n"}, names...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("ask dpkg for the versions of the build's tools: %w", err)
	}
	var list []Tool
	for line := range strings.Lines(string(out)) {
		name, version, _ := strings.Cut(strings.TrimSpace(line), " ")
		list = append(list, Tool{name, version})
	}
	return list, nil
}
