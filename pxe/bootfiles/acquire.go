package bootfiles

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed packages.txt
var packagesTable string

// wantedPackage is a line of the package table.
type wantedPackage struct {
	name     string // with the architecture where it is not amd64
	optional bool
}

func parsePackages(table string) ([]wantedPackage, error) {
	var wanted []wantedPackage
	for line := range strings.Lines(table) {
		text, _, _ := strings.Cut(line, "#")
		fields := strings.Fields(text)
		if len(fields) == 0 {
			continue
		}
		if len(fields) != 2 {
			return nil, fmt.Errorf("package table: %q: want an architecture and a name", strings.TrimSpace(line))
		}
		name, optional := strings.CutPrefix(fields[1], "?")
		if fields[0] != "amd64" {
			name += ":" + fields[0]
		}
		wanted = append(wanted, wantedPackage{name, optional})
	}
	return wanted, nil
}

// Acquire returns a folder with the files of all packages, unpacked, as Build
// takes it. The first call fetches about 110 MB; later ones need no network unless
// s.Refresh is set. It may be called by two programs at once: each folder is made
// aside and renamed when it is whole.
func Acquire(ctx context.Context, s Source) (root string, err error) {
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	if s.Cache, err = filepath.Abs(s.Cache); err != nil {
		return "", err
	}
	if root, err := s.current(); err == nil && !s.Refresh {
		return root, nil
	}
	root, err = s.fetch(ctx)
	if err != nil {
		return "", fmt.Errorf("fetch boot packages: %w", err)
	}
	return root, nil
}

// currentName is a link to the root that was made last.
const currentName = "current"

// current is the root that was made last, if the package table is still the same.
func (s Source) current() (string, error) {
	root, err := filepath.EvalSymlinks(filepath.Join(s.Cache, currentName))
	if err != nil {
		return "", err
	}
	table, err := os.ReadFile(filepath.Join(root, tableName))
	if err == nil && string(table) != packagesTable {
		err = errors.New("made from another package table")
	}
	return root, err
}

// tableName is a copy of the package table inside a root.
const tableName = "ingot-packages.txt"

func (s Source) fetch(ctx context.Context) (string, error) {
	sources, err := s.sources(ctx)
	if err != nil {
		return "", err
	}
	a, err := newAPT(filepath.Join(s.Cache, "apt"), sources)
	if err != nil {
		return "", err
	}
	s.Log.Info("reading package lists", "sources", strings.Join(sources, "; "))
	if _, err := a.run(ctx, a.dir, "apt-get", "update", "-qq"); err != nil {
		return "", err
	}
	names, err := a.resolve(ctx)
	if err != nil {
		return "", err
	}
	debs, err := s.download(ctx, a, names)
	if err != nil {
		return "", err
	}
	return s.unpack(ctx, debs)
}

// resolve turns the package table into names that the lists have.
func (a *apt) resolve(ctx context.Context) ([]string, error) {
	wanted, err := parsePackages(packagesTable)
	if err != nil {
		return nil, err
	}
	kernel, err := a.kernelPackage(ctx)
	if err != nil {
		return nil, err
	}
	names := []string{kernel}
	for _, w := range wanted {
		if w.optional {
			ok, err := a.known(ctx, w.name)
			if err != nil {
				return nil, err
			}
			if !ok {
				continue
			}
		}
		names = append(names, w.name)
	}
	return names, nil
}

// download fetches the packages, checked by apt against the signed lists, and
// returns their files. Those that are in the cache are not fetched again.
func (s Source) download(ctx context.Context, a *apt, names []string) ([]string, error) {
	dir := filepath.Join(s.Cache, "debs")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	debs, err := a.files(ctx, names)
	if err != nil {
		return nil, err
	}
	s.Log.Info("fetching packages", "count", len(debs))
	// apt-get leaves alone a file that is there with the right hash.
	if _, err := a.run(ctx, dir, "apt-get", append([]string{"download", "-qq"}, names...)...); err != nil {
		return nil, err
	}
	for i := range debs {
		debs[i] = filepath.Join(dir, debs[i])
	}
	slices.Sort(debs)
	return debs, nil
}

// files are the names that apt-get gives to the packages' files. It lists only what
// is not in its working directory, so that is an empty one.
func (a *apt) files(ctx context.Context, names []string) ([]string, error) {
	empty, err := os.MkdirTemp(a.dir, "empty-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(empty)
	out, err := a.run(ctx, empty, "apt-get", append([]string{"download", "-qq", "--print-uris"}, names...)...)
	if err != nil {
		return nil, err
	}
	var debs []string
	for line := range strings.Lines(string(out)) {
		// 'URI' FILE SIZE HASH
		if f := strings.Fields(line); len(f) >= 2 {
			debs = append(debs, f[1])
		}
	}
	if len(debs) != len(names) {
		return nil, fmt.Errorf("apt-get names %d files for %d packages", len(debs), len(names))
	}
	return debs, nil
}

// unpack makes the root of these packages and points the link to it.
func (s Source) unpack(ctx context.Context, debs []string) (string, error) {
	h := sha256.New()
	h.Write([]byte(packagesTable))
	for _, d := range debs {
		h.Write([]byte(filepath.Base(d) + "\n"))
	}
	root := filepath.Join(s.Cache, "root-"+hex.EncodeToString(h.Sum(nil))[:16])
	if _, err := os.Stat(root); errors.Is(err, fs.ErrNotExist) {
		if err := s.unpackInto(ctx, root, debs); err != nil {
			return "", err
		}
	}
	if err := writeDebs(root, debs); err != nil {
		return "", err
	}
	link := filepath.Join(s.Cache, currentName)
	tmp := fmt.Sprintf("%s.new-%d", link, os.Getpid())
	if err := os.Symlink(filepath.Base(root), tmp); err != nil {
		return "", err
	}
	return root, os.Rename(tmp, link)
}

func (s Source) unpackInto(ctx context.Context, root string, debs []string) error {
	tmp, err := os.MkdirTemp(s.Cache, "unpack-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	s.Log.Info("unpacking packages", "count", len(debs))
	for _, d := range debs {
		if out, err := exec.CommandContext(ctx, "dpkg", "-x", d, tmp).CombinedOutput(); err != nil {
			return fmt.Errorf("unpack %s: %w: %s", filepath.Base(d), err, strings.TrimSpace(string(out)))
		}
	}
	if err := os.WriteFile(filepath.Join(tmp, tableName), []byte(packagesTable), 0o644); err != nil {
		return err
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	err = os.Rename(tmp, root)
	if errors.Is(err, fs.ErrExist) {
		return nil // another program was faster
	}
	return err
}
