package lint

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"ingot/images/contents"
	"ingot/inventory"
)

// check is one look at the disk. An error is one of reading.
type check struct {
	name string
	look func(*image) (Finding, error)
	// fix is what to do when it fails.
	fix string
}

// image is a disk with what several checks ask for.
type image struct {
	*contents.Disk
	packages map[string]bool
}

// Options says what is expected of the image beyond what every one must have.
type Options struct {
	// UEFI and BIOS: it must boot so. Both false expects nothing.
	UEFI, BIOS bool
	// CloudInit: it reads a seed by cloud-init.
	CloudInit bool
}

// Check holds a disk against all checks, in their order. Some depend on the options. An
// error is one of reading the disk.
func Check(ctx context.Context, disk *contents.Disk, o Options) (Findings, error) {
	packages, err := disk.Packages()
	if err != nil {
		return nil, fmt.Errorf("lint image: %w", err)
	}
	i := &image{disk, map[string]bool{}}
	for _, p := range packages {
		i.packages[p.Name] = true
	}
	var all Findings
	for _, c := range checks(o) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		f, err := i.run(c)
		if err != nil {
			return nil, fmt.Errorf("lint image: %s: %w", c.name, err)
		}
		all = append(all, f)
	}
	return all, nil
}

// errNoRoot is that there is no file system to look into.
var errNoRoot = errors.New("no root file system")

func (i *image) run(c check) (Finding, error) {
	f, err := c.look(i)
	switch {
	case errors.Is(err, errNoRoot):
		f, err = Finding{Level: NotChecked, Detail: i.RootProblem}, nil
	case errors.Is(err, inventory.ErrInvalid):
		f, err = Finding{Level: NotChecked, Detail: err.Error()}, nil
	}
	f.Check = c.name
	if f.Level == Failed || f.Level == Warning {
		f.Fix = c.fix
	}
	return f, err
}

func ok(format string, args ...any) Finding {
	return Finding{Level: OK, Detail: fmt.Sprintf(format, args...)}
}

func bad(format string, args ...any) Finding {
	return Finding{Level: Failed, Detail: fmt.Sprintf(format, args...)}
}

func poor(format string, args ...any) Finding {
	return Finding{Level: Warning, Detail: fmt.Sprintf(format, args...)}
}

// has tells whether one of the names is in the root file system.
func (i *image) has(names ...string) (string, error) {
	if i.Root == nil {
		return "", errNoRoot
	}
	for _, name := range names {
		_, err := i.Root.Lstat(name)
		if err == nil {
			return name, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", nil
}

// text reads a small file; one that is not there is empty.
func (i *image) text(f *contents.FS, name string) (string, error) {
	if f == nil {
		return "", errNoRoot
	}
	data, err := f.ReadFile(name, maxTextBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(data), err
}

const maxTextBytes = 1 << 20
