package bootfiles

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// maxModuleBytes bounds one module after decompression: the largest of Debian's
// kernel has 10 MB.
const maxModuleBytes = 64 << 20

// modinfo is what a kernel module says about itself in its .modinfo section.
type modinfo struct {
	depends  []string // names of the modules it uses directly
	softdeps []string // "pre: a b post: c", to be loaded if they are there
	aliases  []string // patterns of devices and names
	firmware []string // files below /lib/firmware, possibly patterns
}

// parseModinfo reads the .modinfo section of a module, which is an ELF object.
func parseModinfo(module []byte) (info modinfo, err error) {
	f, err := elf.NewFile(bytes.NewReader(module))
	if err != nil {
		return info, fmt.Errorf("not a kernel module: %w", err)
	}
	section := f.Section(".modinfo")
	if section == nil {
		return info, errors.New("not a kernel module: no .modinfo section")
	}
	if section.Size > maxModuleBytes {
		return info, fmt.Errorf("not a kernel module: .modinfo of %d bytes", section.Size)
	}
	data, err := section.Data()
	if err != nil {
		return info, fmt.Errorf("read .modinfo: %w", err)
	}
	for entry := range strings.SplitSeq(string(data), "\x00") {
		key, value, _ := strings.Cut(entry, "=")
		info.add(key, value)
	}
	return info, nil
}

func (i *modinfo) add(key, value string) {
	switch key {
	case "depends":
		for name := range strings.SplitSeq(value, ",") {
			if name != "" {
				i.depends = append(i.depends, canonical(name))
			}
		}
	case "softdep":
		i.softdeps = append(i.softdeps, value)
	case "alias":
		i.aliases = append(i.aliases, value)
	case "firmware":
		i.firmware = append(i.firmware, value)
	}
}

// softPre are the modules that a softdep wants loaded before.
func (i modinfo) softPre() []string {
	var names []string
	for _, s := range i.softdeps {
		pre := false
		for word := range strings.FieldsSeq(s) {
			switch {
			case strings.HasSuffix(word, ":"):
				pre = word == "pre:"
			case pre:
				names = append(names, canonical(word))
			}
		}
	}
	return names
}

// canonical is a module's name as the kernel has it, with underscores.
func canonical(name string) string { return strings.ReplaceAll(name, "-", "_") }

// moduleSuffixes are the forms in which Debian ships modules: plain in 12, xz in 13.
var moduleSuffixes = []string{".ko", ".ko.xz", ".ko.zst"}

// moduleName is the kernel's name of the module in that file.
func moduleName(base string) (name string, ok bool) {
	for _, s := range moduleSuffixes {
		if n, found := strings.CutSuffix(base, s); found {
			return canonical(n), true
		}
	}
	return "", false
}

// readModule returns a module's content, decompressed.
func readModule(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r io.Reader = f
	switch {
	case strings.HasSuffix(path, ".xz"):
		if r, err = xz.NewReader(f); err != nil {
			return nil, fmt.Errorf("read module %s: %w", path, err)
		}
	case strings.HasSuffix(path, ".zst"):
		z, err := zstd.NewReader(f)
		if err != nil {
			return nil, fmt.Errorf("read module %s: %w", path, err)
		}
		defer z.Close()
		r = z
	}
	b, err := io.ReadAll(io.LimitReader(r, maxModuleBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read module %s: %w", path, err)
	}
	if len(b) > maxModuleBytes {
		return nil, fmt.Errorf("read module %s: more than %d bytes", path, maxModuleBytes)
	}
	return b, nil
}
