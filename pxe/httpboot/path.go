package httpboot

import (
	"net/http"
	"strings"

	"ingot/inventory"
)

// collapse makes one slash of several in the path of a request, so that the mux sends
// no redirect. A path that climbs out is inventory.ErrInvalid.
func collapse(r *http.Request) (*http.Request, error) {
	path := r.URL.Path
	for part := range strings.SplitSeq(path, "/") {
		if part == ".." {
			return nil, inventory.Invalid("path %q climbs out of its folder", path)
		}
	}
	if !strings.Contains(path, "//") && !strings.Contains(path, "/./") {
		return r, nil
	}
	out := new(http.Request)
	*out = *r
	url := *r.URL
	url.Path, url.RawPath = "/"+strings.Join(parts(path), "/"), ""
	if strings.HasSuffix(path, "/") && url.Path != "/" {
		url.Path += "/"
	}
	out.URL = &url
	return out, nil
}

// parts are the path's elements that name something.
func parts(path string) []string {
	var out []string
	for part := range strings.SplitSeq(path, "/") {
		if part != "" && part != "." {
			out = append(out, part)
		}
	}
	return out
}

// fileName is the name of a file below a prefix, and the MAC folder it was asked under,
// if any ("52-54-00-12-34-56/snponly.efi").
func fileName(path string) (name string, mac inventory.MAC) {
	elements := parts(path)
	if len(elements) > 1 {
		if mac, err := inventory.ParseMAC(elements[0]); err == nil {
			return strings.Join(elements[1:], "/"), mac
		}
	}
	return strings.Join(elements, "/"), ""
}
