package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"ingot/inventory"
)

// checkPrivilege returns an inventory.ErrDenied that says what to do when this user can't
// unpack packages: it takes root, or a user namespace with a range of user IDs.
func checkPrivilege(ctx context.Context, r Recipe) error {
	if os.Geteuid() == 0 || r.Source != nil || r.System == SystemTiny {
		return nil
	}
	if _, err := exec.LookPath("newuidmap"); err != nil {
		return fmt.Errorf("without root it needs newuidmap: run: apt-get install uidmap, or build as root: %w", inventory.ErrDenied)
	}
	// What mmdebstrap's unshare mode does.
	out, err := exec.CommandContext(ctx, "unshare", "--map-root-user", "--map-auto", "--mount", "chown", "--help").CombinedOutput()
	if err == nil {
		return nil
	}
	said := strings.TrimSpace(string(out))
	fix := "root is needed: run it with sudo"
	switch {
	case strings.Contains(said, "subuid") || strings.Contains(said, "subgid") || strings.Contains(said, "newuidmap") || strings.Contains(said, "newgidmap"):
		fix = "this user needs 65536 IDs of its own: as root, run: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER (it writes /etc/subuid and /etc/subgid); or build as root"
	case strings.Contains(said, "Operation not permitted") || strings.Contains(said, "No space left"):
		fix = "user namespaces are off: as root, run: sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000; or build as root"
	}
	return fmt.Errorf("without root it needs a user namespace, and unshare says %q: %s: %w", said, fix, inventory.ErrDenied)
}

// mode is mmdebstrap's.
func mode() string {
	if os.Geteuid() == 0 {
		return "--mode=root"
	}
	return "--mode=unshare"
}

// explain says what a full disk is, in words.
func explain(err error, dir string) error {
	if dir == "" {
		dir = os.TempDir()
	}
	if errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), "No space left on device") {
		return fmt.Errorf("no room left in %s or the cache: a build needs three times the size of the image's files: %w", dir, err)
	}
	return err
}
