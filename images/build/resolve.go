package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"ingot/images/master"
	"ingot/inventory"
)

// packages are what a build needs of the archive; whole adds what every Debian has.
type packageSet struct {
	names []string
	keys  map[string]string // name to the recipe's key
	whole bool
}

// resolve finds the packages of a set and what they need, with apt and the archive's
// signatures, and gets them into the cache. Pinned inputs are taken as they are.
func (b *build) resolve(ctx context.Context, set packageSet) error {
	if b.opts.Pinned != nil {
		return b.pin()
	}
	lists := filepath.Join(b.cache.dir, "lists", master.DigestOf([]byte(strings.Join(b.recipe.buildSources(), "\n"))).Hex()[:16])
	if err := os.MkdirAll(filepath.Join(lists, "partial"), 0o755); err != nil {
		return fmt.Errorf("resolve packages: %w", err)
	}
	unlock, err := lockFile(ctx, lists+".lock")
	if err != nil {
		return fmt.Errorf("resolve packages: %w", err)
	}
	defer unlock()
	apt, err := b.aptConfig(lists)
	if err != nil {
		return fmt.Errorf("resolve packages: %w", err)
	}
	if _, err := b.run(ctx, "apt-get", "-c", apt, "--error-on=any", "-q", "update"); err != nil {
		return fmt.Errorf("read the archive's lists, of %s: %w", strings.Join(b.recipe.buildSources(), ", "), err)
	}
	list, err := b.solve(ctx, apt, set)
	if err != nil {
		return err
	}
	if err := b.readIndexes(lists, list); err != nil {
		return fmt.Errorf("resolve packages: %w", err)
	}
	b.log.Write(fmt.Appendf(nil, "%d packages; getting those that %s lacks\n", len(list), b.cache.dir))
	return b.cache.fetch(ctx, b.inputs.Packages)
}

// lockFile waits for an exclusive lock.
func lockFile(ctx context.Context, name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	got := make(chan error, 1)
	go func() { got <- unix.Flock(int(f.Fd()), unix.LOCK_EX) }()
	select {
	case err := <-got:
		return func() { f.Close() }, err
	case <-ctx.Done():
		go func() { <-got; f.Close() }() // ends when the lock's holder does
		return nil, ctx.Err()
	}
}

var (
	unknownPackage = regexp.MustCompile(`(?m)^E: (?:Unable to locate package|Couldn't find any package by \w+|Package) '?([a-z0-9][a-z0-9+.-]*)'?`)
	printedURI     = regexp.MustCompile(`^'([^']+)' (\S+) (\d+) SHA256:([0-9a-f]{64})$`)
)

// found is a package as apt prints it.
type foundPackage struct {
	url, sha string
	size     int64
}

// solve asks apt which packages an empty system needs.
func (b *build) solve(ctx context.Context, apt string, set packageSet) ([]foundPackage, error) {
	args := []string{"-c", apt, "-o", "Acquire::ForceHash=SHA256", "-qq", "--yes", "--print-uris", "install"}
	if set.whole {
		// What mmdebstrap's minbase takes by itself.
		args = append(args, "?and(?architecture(amd64),?or(?essential,?priority(required)))", "apt")
	}
	out, err := b.runQuiet(ctx, "apt-get", append(args, set.names...)...)
	if err != nil {
		var tool *toolError
		if !errors.As(err, &tool) {
			return nil, err
		}
		if m := unknownPackage.FindStringSubmatch(tool.said); m != nil {
			key := set.keys[m[1]]
			return nil, inventory.Invalid("%skey %s: %s has no package %s in %s: look it up at https://packages.debian.org/%s", b.recipe.place(key), key,
				b.recipe.Release, m[1], strings.Join(b.recipe.Components, ", "), b.recipe.Release)
		}
		return nil, fmt.Errorf("find out what the packages need: %w", err)
	}
	var list []foundPackage
	for line := range strings.Lines(string(out)) {
		m := printedURI.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			return nil, fmt.Errorf("find out what the packages need: apt says %q", strings.TrimSpace(line))
		}
		size, err := strconv.ParseInt(m[3], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("find out what the packages need: %w", err)
		}
		list = append(list, foundPackage{m[1], m[4], size})
	}
	return list, nil
}
