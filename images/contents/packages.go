package contents

import (
	"bufio"
	"bytes"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"ingot/inventory"
)

// Package is one that a package manager installed.
type Package struct {
	Name         string `json:"name"`
	Version      string `json:"version"`
	Architecture string `json:"architecture"`
	// Source is the source package, SourceVersion its version.
	Source        string `json:"source,omitempty"`
	SourceVersion string `json:"sourceVersion,omitempty"`
	Maintainer    string `json:"maintainer,omitempty"`
	Homepage      string `json:"homepage,omitempty"`
	// InstalledBytes is what the package says of itself.
	InstalledBytes int64 `json:"installedBytes,omitempty"`
}

const (
	dpkgStatus     = "var/lib/dpkg/status"
	maxStatusBytes = 64 << 20
)

// Packages are those that dpkg has installed, by name and architecture. No dpkg is no
// packages and no error.
func (d *Disk) Packages() ([]Package, error) {
	if d.Root == nil {
		return nil, nil
	}
	status, err := d.Root.ReadFile(dpkgStatus, maxStatusBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseStatus(status)
}

// parseStatus reads dpkg's status file (deb822, dpkg(1)).
func parseStatus(status []byte) ([]Package, error) {
	var all []Package
	s := bufio.NewScanner(bytes.NewReader(status))
	s.Buffer(nil, 1<<20)
	fields := map[string]string{}
	end := func() {
		if p, ok := installed(fields); ok {
			all = append(all, p)
		}
		clear(fields)
	}
	for s.Scan() {
		line := s.Text()
		if strings.TrimSpace(line) == "" {
			end()
			continue
		}
		if line[0] == ' ' || line[0] == '\t' {
			continue
		}
		if key, value, ok := strings.Cut(line, ":"); ok {
			fields[key] = strings.TrimSpace(value)
		}
	}
	end()
	if err := s.Err(); err != nil {
		return nil, inventory.Invalid("/%s of the image: %v", dpkgStatus, err)
	}
	slices.SortFunc(all, func(a, b Package) int {
		return strings.Compare(a.Name+":"+a.Architecture, b.Name+":"+b.Architecture)
	})
	return all, nil
}

func installed(fields map[string]string) (Package, bool) {
	if fields["Package"] == "" || !strings.HasSuffix(fields["Status"], " installed") {
		return Package{}, false
	}
	p := Package{Name: fields["Package"], Version: fields["Version"], Architecture: fields["Architecture"],
		Maintainer: fields["Maintainer"], Homepage: fields["Homepage"], Source: fields["Package"], SourceVersion: fields["Version"]}
	if name, version, _ := strings.Cut(fields["Source"], " "); name != "" {
		p.Source = name
		if v := strings.Trim(version, "()"); v != "" {
			p.SourceVersion = v
		}
	}
	p.InstalledBytes = kibibytes(fields["Installed-Size"])
	return p, true
}

// kibibytes reads dpkg's size; one that is no number is not known.
func kibibytes(s string) int64 {
	var n int64
	for _, c := range s {
		if c < '0' || c > '9' || n > 1<<40 {
			return 0
		}
		n = n*10 + int64(c-'0')
	}
	return n << 10
}

// OS says which operating system the image has, by os-release(5): ID and VERSION_ID like
// "debian" and "12", and a name for people. All are empty when it does not say.
func (d *Disk) OS() (id, version, name string) {
	if d.Root == nil {
		return "", "", ""
	}
	text, err := d.Root.ReadFile("etc/os-release", 64<<10)
	if err != nil {
		return "", "", ""
	}
	values := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			values[key] = strings.Trim(value, `"'`)
		}
	}
	return values["ID"], values["VERSION_ID"], values["PRETTY_NAME"]
}
