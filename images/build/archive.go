package build

import (
	"fmt"
	"strings"
)

// Archive is a Debian archive.
type Archive struct {
	// Release is the Debian code name, Mirror and SecurityMirror its archives
	// (http or https). Without Mirror they are Debian's own; with it, SecurityMirror
	// may be empty for none.
	Release        string   `yaml:"release" json:"release"`
	Mirror         string   `yaml:"mirror" json:"mirror"`
	SecurityMirror string   `yaml:"securityMirror" json:"securityMirror"`
	Components     []string `yaml:"components" json:"components"`
	// Snapshot is a time of snapshot.debian.org, like 20261101T000000Z: packages come
	// from there, the finished system keeps the mirrors.
	Snapshot string `yaml:"snapshot" json:"snapshot,omitempty"`
}

// Debian's own archives, and the one of the past.
const (
	debianMirror   = "http://deb.debian.org/debian"
	securityMirror = "http://deb.debian.org/debian-security"
	snapshotMirror = "http://snapshot.debian.org/archive"
	debianKeyring  = "/usr/share/keyrings/debian-archive-keyring.gpg"
)

// sources are the lines of sources.list that the finished system gets.
func (a Archive) sources() []string {
	mirror, security := a.Mirror, a.SecurityMirror
	if mirror == "" {
		mirror, security = debianMirror, securityMirror
	}
	return a.sourceLines("", mirror, security)
}

// buildSources are those that a build reads.
func (a Archive) buildSources() []string {
	if a.Snapshot == "" {
		return a.sources()
	}
	// What was published in the past has a Valid-Until in the past.
	return a.sourceLines("[check-valid-until=no] ", snapshotMirror+"/debian/"+a.Snapshot, snapshotMirror+"/debian-security/"+a.Snapshot)
}

func (a Archive) sourceLines(options, mirror, security string) []string {
	components := strings.Join(a.Components, " ")
	out := []string{fmt.Sprintf("deb %s%s %s %s", options, mirror, a.Release, components), fmt.Sprintf("deb %s%s %s-updates %s", options, mirror, a.Release, components)}
	if security != "" {
		out = append(out, fmt.Sprintf("deb %s%s %s-security %s", options, security, a.Release, components))
	}
	return out
}
