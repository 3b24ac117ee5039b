package build

import (
	"os"
	"os/exec"
	"slices"
	"strings"
)

// tools maps what a build runs or copies to the Debian package that has it.
var tools = []struct{ path, pkg string }{
	{"mmdebstrap", "mmdebstrap"},
	{"apt-get", "apt"},
	{"dpkg-deb", "dpkg"},
	{debianKeyring, "debian-archive-keyring"},
	{"mke2fs", "e2fsprogs"},
	{"debugfs", "e2fsprogs"},
	{"mkfs.vfat", "dosfstools"},
	{"mcopy", "mtools"},
	{"mmd", "mtools"},
	{"cpio", "cpio"},
	{"depmod", "kmod"},
	{"grub-mkimage", "grub-common"},
	{bootImage, "grub-pc-bin"},
	{signedGRUB, "grub-efi-amd64-signed"},
	{signedShim, "shim-signed"},
	{mokManager, "shim-signed"},
}

// Files of Debian's boot loader packages.
const (
	grubPC     = "/usr/lib/grub/i386-pc"
	bootImage  = grubPC + "/boot.img"
	signedGRUB = "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"
	signedShim = "/usr/lib/shim/shimx64.efi.signed"
	mokManager = "/usr/lib/shim/mmx64.efi.signed"
)

// MissingError names the packages that a build needs and this machine lacks.
type MissingError struct{ Packages []string }

func (e *MissingError) Error() string {
	return "an image build needs more packages; run: apt-get install --no-install-recommends " + strings.Join(e.Packages, " ")
}

// CheckTools returns a [*MissingError] when a tool or file of the build is not there.
func CheckTools() error {
	var missing []string
	for _, tool := range tools {
		if _, err := exec.LookPath(tool.path); err == nil {
			continue
		}
		if _, err := os.Stat(tool.path); err == nil || found(tool.path) {
			continue
		}
		if !slices.Contains(missing, tool.pkg) {
			missing = append(missing, tool.pkg)
		}
	}
	if missing != nil {
		return &MissingError{missing}
	}
	return nil
}

// found looks where Debian puts administration tools, which a user's PATH lacks.
func found(name string) bool {
	_, err := os.Stat("/usr/sbin/" + name)
	return err == nil
}
