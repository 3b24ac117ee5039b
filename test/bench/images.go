package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// plainConvert is what an import is measured against; syncedConvert ends, as an import
// does, when the disk has it all.
const (
	plainConvert  = "qemu-img convert -W -O raw"
	syncedConvert = plainConvert + ", sync"
)

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
			note: "Ingot hashes and waits for the disk, and compresses in the background while the image is used; the second line is with that. " +
				"qemu-img does none of it: its first line leaves the disk in memory; its line with sync waits for the disk, its last line compresses."}
		c.contestants = []contestant{
			{"Ingot", func(ctx context.Context) (values, error) { return b.importOne(ctx, dir, file) }},
			{"Ingot, until it is compressed", func(ctx context.Context) (values, error) { return b.importOne(ctx, dir, file, "compress") }},
			{plainConvert, func(ctx context.Context) (values, error) {
				return b.convert(ctx, dir, "qemu-img", "convert", "-W", "-f", "qcow2", "-O", "raw", file)
			}},
			{syncedConvert, func(ctx context.Context) (values, error) {
				return b.convert(ctx, dir, "sh", "-c", `qemu-img convert -W -f qcow2 -O raw "$0" "$1" && sync "$1"`, file)
			}},
			{c.reference, func(ctx context.Context) (values, error) {
				return b.convert(ctx, dir, "qemu-img", "convert", "-W", "-c", "-f", "qcow2", "-O", "qcow2", file)
			}},
		}
		all = append(all, c)
	}
	return all, os.Remove(raw)
}

func (b *bench) importOne(ctx context.Context, dir, file string, more ...string) (values, error) {
	store := filepath.Join(dir, "store")
	if err := errors.Join(os.RemoveAll(store), touchMemory(dir)); err != nil {
		return nil, err
	}
	return b.timed(ctx, append([]string{b.part(), "import", store, file}, more...)...)
}

// convert runs qemu-img to a file that is not there.
func (b *bench) convert(ctx context.Context, dir string, args ...string) (values, error) {
	out := filepath.Join(dir, "converted")
	if err := touchMemory(dir); err != nil {
		return nil, err
	}
	v, err := b.timed(ctx, append(args, out)...)
	return v, errors.Join(err, os.Remove(out))
}

// touchMemory takes a GiB of memory for a file and lets it go. A virtual machine may wait a
// second for memory that nobody had lately, and whoever came first would pay for the others.
func touchMemory(dir string) error {
	f, err := os.Create(filepath.Join(dir, "touched"))
	if err != nil {
		return err
	}
	block := make([]byte, 1<<20)
	for range 1 << 10 {
		if _, err = f.Write(block); err != nil {
			break
		}
	}
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

func (b *bench) timed(ctx context.Context, args ...string) (values, error) {
	start := time.Now()
	_, cmd, err := b.command(ctx, nil, args...)
	if err != nil {
		return nil, err
	}
	return values{"time": time.Since(start).Seconds(), "CPU": used(cmd).Seconds()}, nil
}
