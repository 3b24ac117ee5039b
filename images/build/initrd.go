package build

import (
	_ "embed"
	"os"
	"path/filepath"
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
