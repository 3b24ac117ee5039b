package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ingot/images"
	"ingot/images/build"
)

// plainConvert is what an import is measured against.
const plainConvert = "qemu-img convert -W -O raw"

// imagesContests: a foreign image into the store, a nightly into a store that has the night
// before, and a build.
func imagesContests(ctx context.Context, b *bench) ([]*contest, error) {
	all, err := b.importContests(ctx)
	if err != nil {
		return nil, err
	}
	nightly := &contest{title: "What a nightly with 1 % of its bytes changed adds to the store", once: true,
		figures: []figure{{"added", "% of the version before", false}}, targets: []target{{"added", 5, alone}},
		contestants: []contestant{{"Ingot", b.nightly}}}
	all = append(all, nightly)
	if !b.quick {
		all = append(all, b.buildContest())
	}
	return all, nil
}

func (b *bench) importContests(ctx context.Context) ([]*contest, error) {
	dir := filepath.Join(b.scratch, "import")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	raw := filepath.Join(dir, "raw")
	sizeMiB, dataMiB := int64(4096), int64(700)
	if b.quick {
		sizeMiB, dataMiB = 512, 90
	}
	if err := scatter(raw, sizeMiB<<20, dataMiB<<20); err != nil {
		return nil, err
	}
	var all []*contest
	for _, kind := range []struct{ name, how string }{{"qcow2", "-W"}, {"compressed qcow2, as clouds offer them", "-Wc"}} {
		name, file := kind.name, filepath.Join(dir, "image"+kind.how+".qcow2")
		if _, _, err := b.command(ctx, nil, "qemu-img", "convert", kind.how, "-f", "raw", "-O", "qcow2", raw, file); err != nil {
			return nil, err
		}
		c := &contest{title: fmt.Sprintf("Importing a disk of %.1f GiB with %.1f GiB of data, %s", float64(sizeMiB)/1024, float64(dataMiB)/1024, name),
			figures: []figure{{"time", "s", false}, {"CPU", "s", false}}, targets: []target{{"time", 1 / 0.9, plainConvert}},
			reference: "qemu-img convert -W -c -O qcow2",
			note:      "Ingot hashes, compresses and waits for the disk; qemu-img does none of that. The last line compresses."}
		c.contestants = []contestant{
			{"Ingot", func(ctx context.Context) (values, error) { return b.importOne(ctx, dir, file) }},
			{plainConvert, func(ctx context.Context) (values, error) {
				return b.convert(ctx, dir, "qemu-img", "convert", "-W", "-f", "qcow2", "-O", "raw", file)
			}},
			{c.reference, func(ctx context.Context) (values, error) {
				return b.convert(ctx, dir, "qemu-img", "convert", "-W", "-c", "-f", "qcow2", "-O", "qcow2", file)
			}},
		}
		all = append(all, c)
	}
	return all, os.Remove(raw)
}

func (b *bench) importOne(ctx context.Context, dir, file string) (values, error) {
	store := filepath.Join(dir, "store")
	if err := os.RemoveAll(store); err != nil {
		return nil, err
	}
	return b.timed(ctx, b.oursArgs(dir)[0], "import", store, file)
}

// convert runs qemu-img to a file that is not there.
func (b *bench) convert(ctx context.Context, dir string, args ...string) (values, error) {
	out := filepath.Join(dir, "converted")
	v, err := b.timed(ctx, append(args, out)...)
	return v, errors.Join(err, os.Remove(out))
}

func (b *bench) timed(ctx context.Context, args ...string) (values, error) {
	start := time.Now()
	_, cmd, err := b.command(ctx, nil, args...)
	if err != nil {
		return nil, err
	}
	return values{"time": time.Since(start).Seconds(), "CPU": used(cmd).Seconds()}, nil
}

// importFile STORE FILE: an import into a store that has nothing yet.
func importFile(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: bench import STORE FILE")
	}
	store, err := images.NewStore(args[0])
	if err != nil {
		return err
	}
	_, err = store.Import(context.Background(), args[1], rawOptions(""))
	return err
}

// nightlyBytes is how large the tree of a nightly is.
const nightlyBytes = 200 << 20

// nightly imports two file systems: of files of a real system, and of the same when 1 % of
// the bytes are in files that changed.
func (b *bench) nightly(ctx context.Context) (values, error) {
	dir := filepath.Join(b.scratch, "nightly")
	tree := filepath.Join(dir, "tree")
	if err := copyTree("/usr/lib", tree, nightlyBytes); err != nil {
		return nil, err
	}
	store, err := images.NewStore(filepath.Join(dir, "store"))
	if err != nil {
		return nil, err
	}
	var used [2]int64
	for version := range used {
		disk := filepath.Join(dir, "disk")
		if _, _, err := b.command(ctx, []string{"E2FSPROGS_FAKE_TIME=1700000000"}, "mke2fs", "-q", "-F", "-t", "ext4", "-U", "11111111-2222-4333-8444-555555555555",
			"-E", "hash_seed=11111111-2222-4333-8444-555555555555", "-d", tree, disk, "400M"); err != nil {
			return nil, err
		}
		if _, err := store.Import(ctx, disk, rawOptions(images.FormatRaw)); err != nil {
			return nil, err
		}
		usage, err := store.Usage(ctx)
		if err != nil {
			return nil, err
		}
		used[version] = usage.TotalBytes()
		if err := errors.Join(os.Remove(disk), changeFiles(tree, nightlyBytes/100)); err != nil {
			return nil, err
		}
	}
	return values{"added": 100 * float64(used[1]-used[0]) / float64(used[0])}, os.RemoveAll(dir)
}

// copyTree copies regular files until they have so many bytes.
func copyTree(from, to string, bytes int64) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes -= int64(len(data)); bytes < 0 {
			return fs.SkipAll
		}
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		return errors.Join(os.MkdirAll(filepath.Dir(target), 0o755), os.WriteFile(target, data, 0o644))
	})
}

// changeFiles changes one file in twenty, up to so many bytes in all: in each sector of it
// a few bytes, so that it compresses as before. Files that are a tenth of that are left out.
func changeFiles(tree string, bytes int64) error {
	limit, seen := bytes/10, 0
	return filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if seen++; seen%20 != 0 || info.Size() > limit {
			return nil
		}
		if bytes -= info.Size(); bytes < 0 {
			return fs.SkipAll
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for at := 0; at < len(data); at += 512 {
			copy(data[at:], "changed")
		}
		return os.WriteFile(path, data, 0o644)
	})
}

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

// outside runs a command in the network namespace that the bench was started from, which
// reaches a mirror.
func outside(args ...string) []string {
	return append([]string{"nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", os.Getppid())}, args...)
}

func (b *bench) buildOurs(ctx context.Context) (values, error) {
	dir := filepath.Join(b.scratch, "build")
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return nil, err
	}
	return b.timed(ctx, outside(b.oursArgs(dir)[0], "build", filepath.Join(b.scratch, "build-cache"), dir)...)
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

// buildImage CACHE DIR: debian-12 into a store.
func buildImage(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: bench build CACHE DIR")
	}
	ctx := context.Background()
	r, err := build.EmbeddedRecipe("debian-12")
	if err != nil {
		return err
	}
	store, err := images.NewStore(filepath.Join(args[1], "store"))
	if err != nil {
		return err
	}
	opts := build.Options{Dir: args[1], Cache: args[0], Log: io.Discard}
	return build.Build(ctx, r, opts, func(ctx context.Context, made build.Result) error {
		o := rawOptions(images.FormatRaw)
		o.Traits = made.Traits
		_, err := store.Import(ctx, made.Raw, o)
		return err
	})
}
