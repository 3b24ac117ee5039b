package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"ingot/images/build"
)

// plainBuild makes the disk of a recipe with the tools alone.
const plainBuild = `
mmdebstrap --quiet --mode=root --variant=minbase --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' --dpkgopt=force-unsafe-io \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --essential-hook='mkdir -p "$1/etc/initramfs-tools/conf.d" && printf "COMPRESS=zstd\nCOMPRESSLEVEL=3\n" > "$1/etc/initramfs-tools/conf.d/x"' \
  --components="$2" --include="$3" bookworm "$1/root"
mke2fs -q -F -t ext4 -d "$1/root" "$1/disk" 2000M
qemu-img convert -W -f raw -O qcow2 "$1/disk" "$1/disk.qcow2"`

// buildContest: debian-12 from packages to a stored image. Both fetch packages from the
// mirror that apt uses, Ingot from its own cache after the first time, which is not
// measured.
func (b *bench) buildContest() *contest {
	warm := false
	return &contest{title: "Building debian-12", figures: []figure{{"time", "s", false}, {"CPU", "s", false}},
		targets: []target{{"time", 1.25, best}}, once: true,
		note: "Ingot's build ends in the store, hashed and compressed; mmdebstrap's in a qcow2.",
		contestants: []contestant{
			{"Ingot", func(ctx context.Context) (values, error) {
				if !warm {
					if _, err := b.buildOurs(ctx); err != nil {
						return nil, err
					}
					warm = true
				}
				return b.buildOurs(ctx)
			}},
			{"mmdebstrap, mke2fs -d, qemu-img convert", b.buildPlain},
		}}
}

// outside runs a command in the network namespace that scripts/bench was started in, which
// reaches a mirror and which it leaves open as file 9.
func outside(args ...string) []string {
	return append([]string{"nsenter", fmt.Sprintf("--net=/proc/%d/fd/9", os.Getpid())}, args...)
}

func (b *bench) buildOurs(ctx context.Context) (values, error) {
	dir := filepath.Join(b.scratch, "build")
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return nil, err
	}
	return b.timed(ctx, outside(b.part(), "build", filepath.Join(b.scratch, "build-cache"), dir)...)
}

func (b *bench) buildPlain(ctx context.Context) (v values, err error) {
	r, err := build.EmbeddedRecipe("debian-12")
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(b.scratch, "plain")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return b.timed(ctx, outside("unshare", "--mount", "sh", "-ec", plainBuild, "sh", dir, strings.Join(r.Components, ","), strings.Join(r.Packages, ","))...)
}
