package build

import (
	_ "embed"
	"os"
	"path"
	"path/filepath"
	"strings"

	"ingot/inventory"
)

// An initramfs takes a minute or more on a slow machine, and would be made twice: when the
// kernel is configured, and by the trigger of the packages that add to it. With noInitrd in
// the environment the hooks of initramfs-tools and of dracut make none, and the trigger finds
// none to renew; initrdScript runs the hooks when all is installed.
const noInitrd = "INITRD=No"

//go:embed initrd.sh
var initrdScript []byte

// writeInitrdHook writes the script for mmdebstrap, and returns its path.
func writeInitrdHook(dir string) (string, error) {
	path := filepath.Join(dir, "initrd")
	return path, os.WriteFile(path, initrdScript, 0o755)
}

// checkInitrd errors with inventory.ErrInvalid when the boot loaders would find a kernel and
// no initramfs, which only a person at the console would see.
func (t *tree) checkInitrd() error {
	if t.has("vmlinuz") && !t.has("initrd.img") {
		return inventory.Invalid("the image has a kernel and no /initrd.img: add a package that makes one (initramfs-tools) to the recipe")
	}
	e, ok := t.entries["initrd.img"]
	if ok && e.link != "" && !t.has(strings.TrimPrefix(path.Clean(e.link), "/")) {
		return inventory.Invalid("the image's /initrd.img leads to %s, which is not there: see what the build's log says of update-initramfs", e.link)
	}
	return nil
}
