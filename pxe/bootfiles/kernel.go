package bootfiles

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// ErrCloudKernel means that the kernel is Debian's cloud flavour.
var ErrCloudKernel = errors.New("the cloud flavour of the kernel has no drivers for servers (no AHCI, megaraid, mpt3sas, igb, ixgbe, i40e, ice, IPMI): use linux-image-amd64")

// refuseCloud is the check of a kernel version or package name.
func refuseCloud(name string) error {
	if strings.Contains(name, "-cloud-") {
		return fmt.Errorf("kernel %s: %w", name, ErrCloudKernel)
	}
	return nil
}

// findKernel returns the version of the newest kernel in root that has modules. A
// root with cloud kernels only is ErrCloudKernel.
func findKernel(root string) (string, error) {
	images, err := filepath.Glob(filepath.Join(root, "boot", "vmlinuz-*"))
	if err != nil {
		return "", err
	}
	var versions []string
	var refused error
	for _, image := range images {
		version := strings.TrimPrefix(filepath.Base(image), "vmlinuz-")
		if err := refuseCloud(version); err != nil {
			refused = err
			continue
		}
		if _, err := os.Stat(moduleRoot(root, version)); err == nil {
			versions = append(versions, version)
		}
	}
	if len(versions) == 0 {
		return "", cmp.Or(refused, fmt.Errorf("no kernel with modules in %s: it needs the files of a linux-image-*-amd64 package", root))
	}
	return slices.MaxFunc(versions, compareVersions), nil
}

// moduleRoot is where the modules of a kernel are: /lib may be a link to /usr/lib.
func moduleRoot(root, version string) string {
	for _, lib := range []string{"lib", "usr/lib"} {
		dir := filepath.Join(root, lib, "modules", version)
		if _, err := os.Stat(filepath.Join(dir, "kernel")); err == nil {
			return dir
		}
	}
	return filepath.Join(root, "lib", "modules", version)
}

// compareVersions orders kernel versions, numbers by value.
func compareVersions(a, b string) int {
	as, bs := versionParts(a), versionParts(b)
	for i := range min(len(as), len(bs)) {
		x, errX := strconv.Atoi(as[i])
		y, errY := strconv.Atoi(bs[i])
		c := strings.Compare(as[i], bs[i])
		if errX == nil && errY == nil {
			c = cmp.Compare(x, y)
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(as), len(bs))
}

func versionParts(v string) []string {
	var parts []string
	start, digits := 0, false
	for i, r := range v {
		if i > start && unicode.IsDigit(r) != digits {
			parts = append(parts, v[start:i])
			start = i
		}
		digits = unicode.IsDigit(r)
	}
	return append(parts, v[start:])
}
