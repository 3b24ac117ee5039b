package agent

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/u-root/u-root/pkg/kmodule"
	"golang.org/x/sys/unix"
)

// alias is one line of modules.alias: a pattern and the module that serves it.
type alias struct{ pattern, module string }

// loader loads kernel modules for the devices that are there.
type loader struct {
	dir     string
	aliases []alias
	prober  *kmodule.Prober
	tried   map[string]bool
}

// newLoader reads the module tables of the running kernel. Call it again when the
// second stage has brought more modules.
func newLoader() (*loader, error) {
	dir, err := moduleDir()
	if err != nil {
		return nil, err
	}
	prober, err := kmodule.NewProber(kmodule.ProbeOpts{})
	if err != nil {
		return nil, fmt.Errorf("read module tables: %w", err)
	}
	f, err := os.Open(filepath.Join(dir, "modules.alias"))
	if err != nil {
		return nil, fmt.Errorf("read module tables: %w", err)
	}
	defer f.Close()
	l := &loader{dir: dir, prober: prober, tried: map[string]bool{}}
	scan := bufio.NewScanner(f)
	for scan.Scan() {
		if f := strings.Fields(scan.Text()); len(f) == 3 && f[0] == "alias" {
			l.aliases = append(l.aliases, alias{f[1], f[2]})
		}
	}
	return l, scan.Err()
}

func moduleDir() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("read kernel release: %w", err)
	}
	return filepath.Join("/lib/modules", unix.ByteSliceToString(u.Release[:])), nil
}

// matching returns the modules that serve a device's modalias.
func (l *loader) matching(modalias string) []string {
	var out []string
	for _, a := range l.aliases {
		if ok, err := path.Match(a.pattern, modalias); err == nil && ok && !slices.Contains(out, a.module) {
			out = append(out, a.module)
		}
	}
	return out
}

// load loads modules by name; those whose file is in the other stage are left for it.
func (l *loader) load(names ...string) error {
	var errs []error
	for _, name := range names {
		if l.tried[name] {
			continue
		}
		err := l.prober.Probe(name, "")
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !strings.Contains(err.Error(), "could not find path") {
			errs = append(errs, fmt.Errorf("load module %s: %w", name, err))
		}
		l.tried[name] = err == nil
	}
	return errors.Join(errs...)
}

// coldplug loads the modules of all devices in sysfs. A bus driver may show further
// devices, so it repeats until nothing new comes.
func (l *loader) coldplug() error {
	var errs []error
	for range 5 {
		loaded := len(l.tried)
		files, err := modaliases("/sys/devices")
		errs = append(errs, err)
		for _, m := range files {
			if l.tried[m] {
				continue
			}
			l.tried[m] = true
			errs = append(errs, l.load(l.matching(m)...))
		}
		if len(l.tried) == loaded {
			break
		}
	}
	return errors.Join(errs...)
}

// modaliases lists the distinct modalias files' contents below dir.
func modaliases(dir string) ([]string, error) {
	seen := map[string]bool{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "modalias" {
			return nil //nolint:nilerr // a device may go while we look
		}
		text, err := os.ReadFile(p)
		if m := strings.TrimSpace(string(text)); err == nil && m != "" {
			seen[m] = true
		}
		return nil
	})
	var out []string
	for m := range seen {
		out = append(out, m)
	}
	slices.Sort(out)
	return out, err
}
