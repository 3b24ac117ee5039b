package guestrun

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"ingot/inventory"
)

// packageOf is the Debian package of a program.
var packageOf = map[string]string{"qemu-img": "qemu-utils", "qemu-io": "qemu-utils", "prlimit": "util-linux", "mkfs.ext4": "e2fsprogs", "dpkg-deb": "dpkg"}

// tool runs a program in dir and returns what it printed. A missing one is
// inventory.ErrUnsupported with the package to install.
func tool(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	if _, err := exec.LookPath(name); err != nil {
		return nil, fmt.Errorf("%s is not here: apt-get install --no-install-recommends %s: %w", name, packageOf[name], inventory.ErrUnsupported)
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		said := strings.TrimSpace(stderr.String() + string(out[:min(len(out), 500)]))
		return nil, errors.Join(context.Cause(ctx), fmt.Errorf("run %s: %w: %s", name, err, said))
	}
	return out, nil
}
