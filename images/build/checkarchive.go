package build

import (
	"fmt"
	"net/url"
	"strings"
	"time"
)

const snapshotForm = "20060102T150405Z"

func (c *checker) archive(a Archive) {
	c.must(plainWord.MatchString(a.Release), "release", "%q is not a Debian code name", a.Release)
	c.must(a.Mirror == "" || webURL(a.Mirror), "mirror", "%q is not an http or https URL", a.Mirror)
	c.must(a.SecurityMirror == "" || webURL(a.SecurityMirror), "securityMirror", "%q is not an http or https URL", a.SecurityMirror)
	c.must(a.SecurityMirror == "" || a.Mirror != "", "securityMirror", "%q without a mirror", a.SecurityMirror)
	c.must(len(a.Components) > 0, "components", "it is empty, want a list of archive components, like main")
	for i, name := range a.Components {
		c.must(plainWord.MatchString(name), fmt.Sprintf("components[%d]", i), "%q is not an archive component, like main", name)
	}
	if a.Snapshot != "" {
		_, err := time.Parse(snapshotForm, a.Snapshot)
		c.must(err == nil, "snapshot", "%q is not a time like 20261101T000000Z", a.Snapshot)
		c.must(a.Mirror == "", "snapshot", "%q is a time of snapshot.debian.org, which takes the place of mirror: give one of them", a.Snapshot)
	}
}

func webURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && !strings.ContainsAny(s, " []'\"\n")
}
