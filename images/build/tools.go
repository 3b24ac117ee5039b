package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// tools maps what a build runs or copies to the Debian package that has it.
var tools = []struct{ path, pkg string }{
	{"mmdebstrap", "mmdebstrap"},
	{"mke2fs", "e2fsprogs"},
	{"mkfs.vfat", "dosfstools"},
	{"mcopy", "mtools"},
	{"mmd", "mtools"},
	{"cpio", "cpio"},
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

// run starts a tool with a clean environment and returns its output. The error
// holds the last lines of what it said. A cancelled context ends it softly first,
// so that it can unmount and remove what it made.
func (b *build) run(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "TMPDIR=" + b.dir,
		"MTOOLS_SKIP_CHECK=1", "DEBIAN_FRONTEND=noninteractive", fmt.Sprintf("SOURCE_DATE_EPOCH=%d", sourceDate), fmt.Sprintf("E2FSPROGS_FAKE_TIME=%d", sourceDate)}
	for _, key := range []string{"http_proxy", "https_proxy", "no_proxy"} {
		if value, ok := os.LookupEnv(key); ok {
			cmd.Env = append(cmd.Env, key+"="+value)
		}
	}
	cmd.Dir = b.dir
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	// mmdebstrap mounts proc and sys in its folder. In a mount namespace of its
	// own they vanish with it, however it ends, so that removing the folder can
	// never reach into the running system.
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	var out bytes.Buffer
	both := io.MultiWriter(&out, b.log)
	cmd.Stdout, cmd.Stderr = both, both
	if err := cmd.Run(); err != nil {
		return nil, errors.Join(ctx.Err(), fmt.Errorf("run %s: %w: %s", name, err, lastLines(out.String(), 5)))
	}
	return out.Bytes(), nil
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], " / ")
}
