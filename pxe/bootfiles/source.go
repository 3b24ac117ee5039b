package bootfiles

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// source is where a file of the set comes from: the first of the paths in the
// root that exists.
type source struct {
	name     string
	arch     Arch
	required bool
	paths    []string
}

var loaders = []source{
	{ShimX64, X64, true, []string{"usr/lib/shim/shimx64.efi.signed"}},
	{GrubX64, X64, true, []string{"usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed"}},
	{MokX64, X64, false, []string{"usr/lib/shim/mmx64.efi.signed"}},
	{SNPOnly, X64, true, []string{"usr/lib/ipxe/snponly.efi"}},
	{IPXE, X64, true, []string{"usr/lib/ipxe/ipxe.efi", "boot/ipxe.efi"}},
	{UndiOnly, X64, true, []string{"usr/lib/ipxe/undionly.kpxe"}},
	{ShimARM64, ARM64, false, []string{"usr/lib/shim/shimaa64.efi.signed"}},
	{GrubARM64, ARM64, false, []string{"usr/lib/grub/arm64-efi-signed/grubnetaa64.efi.signed"}},
}

func (s source) read(root string) (data []byte, origin string, err error) {
	for _, p := range s.paths {
		data, err := os.ReadFile(filepath.Join(root, p))
		if !errors.Is(err, fs.ErrNotExist) {
			return data, "/" + p, err
		}
	}
	return nil, "", fmt.Errorf("%s: none of %s is in %s: %w", s.name, strings.Join(s.paths, ", "), root, fs.ErrNotExist)
}
