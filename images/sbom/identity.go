package sbom

import (
	"crypto/sha256"
	"fmt"
	"net/url"
	"strings"

	"ingot/images/contents"
)

// packageURL is pkg:deb/debian/NAME@VERSION?arch=...&distro=debian-12.
func packageURL(p contents.Package, os, version string) string {
	if os == "" {
		os = "debian"
	}
	distro := os
	if version != "" {
		distro += "-" + version
	}
	out := "pkg:deb/" + escape(os) + "/" + escape(p.Name) + "@" + escape(p.Version)
	query := []string{}
	if p.Architecture != "" {
		query = append(query, "arch="+escape(p.Architecture))
	}
	return out + "?" + strings.Join(append(query, "distro="+escape(distro)), "&")
}

// escape is percent-encoding as the package URL's specification has it: all but letters,
// digits and ".-_~"; a colon may stay.
func escape(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(s), "+", "%20"), "%3A", ":")
}

// serial makes the document's UUID from what it is about (RFC 9562, version 8: custom).
func serial(about string) string {
	sum := sha256.Sum256([]byte("ingot bill of materials " + about))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}
