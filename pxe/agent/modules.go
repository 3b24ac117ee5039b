package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// loader loads kernel modules for the devices that are there.
type loader struct {
	// root is "/", and where the module tree and sysfs are looked for; release is the
	// running kernel's.
	root, release string
	table         *moduleTable
	// stage has modules that are not in the file system; nil for none.
	stage *stage
	// insert gives a module to the kernel.
	insert func(image []byte) error

	// seen are modaliases that were looked up, tried modules that were loaded or failed.
	seen  map[string]bool
	tried map[string]error
}

// newLoader reads the module tables of the running kernel, and those of the second stage,
// which name the modules of both. Make another one when the second stage is there.
func newLoader(root string, s *stage) (*loader, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return nil, fmt.Errorf("read kernel release: %w", err)
	}
	l := &loader{root: root, release: unix.ByteSliceToString(u.Release[:]), table: newModuleTable(), stage: s,
		insert: insertModule, seen: map[string]bool{}, tried: map[string]error{}}
	return l, l.readTables()
}

func insertModule(image []byte) error { return unix.InitModule(image, "") }

func (l *loader) readTables() error {
	for _, part := range []struct {
		file string
		read func(io.Reader) error
	}{{"modules.dep", l.table.readDeps}, {"modules.softdep", l.table.readSoftdeps}, {"modules.alias", l.table.readAliases}} {
		text, err := l.file(part.file)
		if err == nil {
			err = part.read(bytes.NewReader(text))
		}
		if err != nil {
			return fmt.Errorf("read module tables: %w", err)
		}
	}
	return nil
}

// file reads a file of the module tree, from the second stage first.
func (l *loader) file(name string) ([]byte, error) {
	full := path.Join("lib/modules", l.release, name)
	if l.stage != nil {
		if data, err := l.stage.file(full); !errors.Is(err, fs.ErrNotExist) {
			return data, err
		}
	}
	return os.ReadFile(below(l.root, full))
}

// load loads modules with what they need. A module that the tables don't have is built
// in, or not of this environment: no error.
func (l *loader) load(names ...string) error {
	errs := make([]error, len(names))
	for i, name := range names {
		errs[i] = l.one(moduleName(name), nil)
	}
	return errors.Join(errs...)
}

// errLater is given for a module that needs one which is waiting for it, as a softdep.
var errLater = errors.New("needed module is not loaded yet")

// one loads a module once. above are those that wait for it. A softdep that fails is no
// error: what it would do is better, not needed.
func (l *loader) one(name string, above []string) error {
	file, ok := l.table.paths[name]
	if !ok {
		return nil
	}
	if err, ok := l.tried[name]; ok {
		return err
	}
	if _, err := os.Stat(below(l.root, "sys/module/"+name+"/initstate")); err == nil {
		l.tried[name] = nil
		return nil
	}
	above = append(above, name)
	for _, first := range l.table.softs[name] {
		if !slices.Contains(above, first) {
			_ = l.one(first, above) // see above
		}
	}
	for _, need := range l.table.needs[name] {
		if slices.Contains(above, need) {
			return errLater
		}
		if err := l.one(need, above); err != nil {
			return err
		}
	}
	l.tried[name] = l.put(name, file)
	return l.tried[name]
}

// put gives one module to the kernel. One whose file is in the other stage is left for
// it; ENODEV is a driver's word that it has nothing to do here.
func (l *loader) put(name, file string) error {
	image, err := l.file(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = l.insert(image)
	}
	if err != nil && !errors.Is(err, unix.EEXIST) && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("load module %s: %w", name, err)
	}
	return nil
}

// coldplug loads the modules of all devices in sysfs. A bus driver may show further
// devices, so it repeats until nothing new comes.
func (l *loader) coldplug() error {
	var errs []error
	for range 8 {
		wanted := l.wanted()
		if len(wanted) == 0 {
			break
		}
		errs = append(errs, l.load(wanted...))
	}
	return errors.Join(errs...)
}

// wanted are the modules of the devices that weren't looked at before.
func (l *loader) wanted() []string {
	var out []string
	for _, m := range modaliases(l.root) {
		if l.seen[m] {
			continue
		}
		l.seen[m] = true
		for _, name := range l.table.matching(m) {
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// modaliases lists the distinct modaliases of the devices on all buses, and the machine's
// own. A device may go while we look.
func modaliases(root string) []string {
	files, _ := filepath.Glob(below(root, "sys/bus/*/devices/*/modalias")) // the pattern is good
	files = append(files, below(root, "sys/class/dmi/id/modalias"))
	var out []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if m := strings.TrimSpace(string(text)); err == nil && m != "" {
			out = append(out, m)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
