package publish_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ingot/images/build"
	"ingot/images/publish"
)

// TestContainerImage makes a machine of a container image that Debian's mmdebstrap and
// umoci made: four layers, with removed files, hard links and an opaque folder.
func TestContainerImage(t *testing.T) {
	p := booter(t)
	for _, tool := range []string{"umoci", "mmdebstrap"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s: %v", tool, err)
		}
	}
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // apt's user passes through it
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "sh", "-eux", "-c", containerScript)
	cmd.Dir, cmd.Stderr = dir, t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("make a container image: %v", err)
	}
	layout, digest := filepath.Join(dir, "layout"), strings.TrimSpace(string(out))
	r, err := build.ParseRecipe("box.yaml", fmt.Appendf(nil, containerRecipe, layout, digest))
	if err != nil {
		t.Fatal(err)
	}
	builtAndBooted(t, p, publish.Order{Recipe: r, Force: true})
}

// containerScript makes the layout and prints the digest of the manifest.
const containerScript = `
{
  mmdebstrap --quiet --mode=root --variant=minbase --components=main --aptopt='Acquire::Languages "none"' --dpkgopt=force-unsafe-io \
    --include=systemd-sysv,dbus,udev,kmod,cloud-init,cloud-guest-utils,fdisk,e2fsprogs,iproute2,netplan.io,openssh-server,procps,qemu-guest-agent,open-vm-tools,hyperv-daemons \
    --customize-hook='systemctl --root="$1" enable systemd-networkd.service' bookworm root
  rm -rf root/dev/*
  umoci init --layout layout
  umoci new --image layout:box
  umoci unpack --image layout:box bundle
  rmdir bundle/rootfs && mv root bundle/rootfs
  mkdir -p bundle/rootfs/opt/menu/old
  echo soup > bundle/rootfs/opt/menu/soup
  echo tea > bundle/rootfs/opt/menu/old/tea
  echo gone > bundle/rootfs/opt/gone
  umoci repack --refresh-bundle --image layout:box bundle

  rm -r bundle/rootfs/opt/gone bundle/rootfs/usr/share/doc
  echo one > bundle/rootfs/opt/one
  ln bundle/rootfs/opt/one bundle/rootfs/opt/other
  umoci repack --refresh-bundle --image layout:box bundle

  mkdir menu && echo cake > menu/cake
  umoci insert --image layout:box --opaque menu /opt/menu
  umoci insert --image layout:box --whiteout /etc/motd
} >&2
sed -n 's/.*"digest":"\(sha256:[0-9a-f]*\)".*/\1/p' layout/index.json
`

const containerRecipe = `extends: container
name: box
source: {oci: {layout: %q, digest: %q}}
files: [{path: /etc/made-by, content: ingot}]
checks:
  - {name: what was removed, command: "cat /opt/gone /etc/motd || ls /usr/share/doc", exitCode: 2}
  - {name: opaque folder, command: ls -A /opt/menu, expect: ^cake$}
  - {name: hard link, command: "test /opt/one -ef /opt/other && stat -c %%h /opt/one", expect: ^2$}
  - {name: a module by its name, command: modprobe dummy}
  - {name: added file, command: cat /etc/made-by, expect: ^ingot$}
`
