package build

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"ingot/images/master"
	"ingot/inventory"
)

//go:embed recipes/*.yaml
var embedded embed.FS

// builderVersion is part of each recipe digest: raise it when the same recipe
// gives another image.
const builderVersion = 1

// System is the kind of operating system a recipe makes.
type System string

// The systems.
const (
	// SystemDebian is a Debian with a root file system of its own.
	SystemDebian System = "debian"
	// SystemTiny is a kernel and an initramfs that phones home, for tests.
	SystemTiny System = "tiny"
)

// Recipe says what goes into an image.
type Recipe struct {
	// Name is the image's name, like "debian-12".
	Name   string `yaml:"name" json:"name"`
	System System `yaml:"system" json:"system"`
	// Release is the Debian code name, Mirror and SecurityMirror its archives
	// (http or https). Without Mirror they are Debian's own, as mmdebstrap knows them;
	// with it, SecurityMirror may be empty for none.
	Release        string   `yaml:"release" json:"release"`
	Mirror         string   `yaml:"mirror" json:"mirror"`
	SecurityMirror string   `yaml:"securityMirror" json:"securityMirror"`
	Components     []string `yaml:"components" json:"components"`
	// SizeMiB is the size of the disk; the root grows on the machine.
	SizeMiB int `yaml:"sizeMiB" json:"sizeMiB"`
	// KernelCommandLine follows root= on the kernel's command line.
	KernelCommandLine string   `yaml:"kernelCommandLine" json:"kernelCommandLine"`
	Packages          []string `yaml:"packages" json:"packages"`
	// Enable lists systemd units to enable, beyond what packages do themselves.
	Enable []string `yaml:"enable" json:"enable"`
	// Files are written over what the packages installed.
	Files []File `yaml:"files" json:"files"`
}

// File is a file that a recipe writes.
type File struct {
	Path    string `yaml:"path" json:"path"`
	Content string `yaml:"content" json:"content"`
	// Mode is the permission bits; 0 is 0644.
	Mode fs.FileMode `yaml:"mode" json:"mode"`
}

// Recipes returns the names of the embedded recipes.
func Recipes() []string {
	entries, err := embedded.ReadDir("recipes")
	if err != nil {
		panic("build: " + err.Error())
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return names
}

// EmbeddedRecipe returns an embedded recipe, or inventory.ErrNotFound.
func EmbeddedRecipe(name string) (Recipe, error) {
	document, err := embedded.ReadFile("recipes/" + name + ".yaml")
	if err != nil {
		return Recipe{}, fmt.Errorf("%w; there are %s", inventory.NotFound("recipe", name), strings.Join(Recipes(), ", "))
	}
	return ParseRecipe(name+".yaml", document)
}

// ParseRecipe reads a recipe. An unknown key or a value of the wrong type is an
// error that names the file, the line and the key; a value that can't work is an
// error that names the key.
func ParseRecipe(file string, document []byte) (Recipe, error) {
	dec := yaml.NewDecoder(bytes.NewReader(document))
	dec.KnownFields(true)
	var r Recipe
	if err := dec.Decode(&r); err != nil {
		return Recipe{}, inventory.Invalid("recipe %s: %v", file, err)
	}
	if err := dec.Decode(new(any)); err != io.EOF {
		return Recipe{}, inventory.Invalid("recipe %s: more than one YAML document", file)
	}
	if err := r.Check(); err != nil {
		return Recipe{}, fmt.Errorf("recipe %s: %w", file, err)
	}
	return r, nil
}

var (
	packageName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)
	unitName    = regexp.MustCompile(`^[A-Za-z0-9:_.@-]+\.(service|timer|socket|target|path|mount)$`)
	plainWord   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)
)

// Check returns an inventory.ErrInvalid that names the first key which is wrong.
func (r Recipe) Check() error {
	if err := inventory.CheckImageName(r.Name); err != nil {
		return fmt.Errorf("key name: %w", err)
	}
	if r.System != SystemDebian && r.System != SystemTiny {
		return inventory.Invalid("key system: %q is not debian or tiny", r.System)
	}
	if !plainWord.MatchString(r.Release) {
		return inventory.Invalid("key release: %q is not a Debian code name", r.Release)
	}
	if r.SizeMiB < 64 || r.SizeMiB > 1<<20 {
		return inventory.Invalid("key sizeMiB: %d is not between 64 and 1048576", r.SizeMiB)
	}
	if strings.ContainsAny(r.KernelCommandLine, "\n\r'\"\\$;{}") {
		return inventory.Invalid("key kernelCommandLine: %q holds a character that GRUB would interpret", r.KernelCommandLine)
	}
	if err := r.checkArchive(); err != nil {
		return err
	}
	return r.checkContent()
}

func (r Recipe) checkArchive() error {
	for key, value := range map[string]string{"mirror": r.Mirror, "securityMirror": r.SecurityMirror} {
		u, err := url.Parse(value)
		if value == "" {
			continue
		}
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || strings.ContainsAny(value, " []") {
			return inventory.Invalid("key %s: %q is not an http or https URL", key, value)
		}
	}
	if r.Mirror == "" && r.SecurityMirror != "" {
		return inventory.Invalid("key securityMirror: %q without a mirror", r.SecurityMirror)
	}
	if len(r.Components) == 0 || slices.ContainsFunc(r.Components, func(c string) bool { return !plainWord.MatchString(c) }) {
		return inventory.Invalid("key components: %q is not a list of archive components, like main", r.Components)
	}
	return nil
}

func (r Recipe) checkContent() error {
	for i, p := range r.Packages {
		if !packageName.MatchString(p) {
			return inventory.Invalid("key packages[%d]: %q is not a package name", i, p)
		}
		if strings.HasPrefix(p, "linux-image-cloud") {
			return inventory.Invalid("key packages[%d]: %s has no drivers for server disks and network cards: use linux-image-amd64", i, p)
		}
	}
	for i, unit := range r.Enable {
		if !unitName.MatchString(unit) {
			return inventory.Invalid("key enable[%d]: %q is not a systemd unit", i, unit)
		}
	}
	for i, f := range r.Files {
		if !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || f.Path == "/" {
			return inventory.Invalid("key files[%d].path: %q is not a clean absolute path", i, f.Path)
		}
		if f.Mode&^0o7777 != 0 {
			return inventory.Invalid("key files[%d].mode: %o is not a file mode", i, f.Mode)
		}
	}
	return nil
}

// Digest covers all that the recipe says and the version of the builder. What
// the archive holds on a given day is not part of it.
func (r Recipe) Digest() master.Digest {
	document, err := json.Marshal(struct {
		Builder int
		Scripts string
		Recipe  Recipe
	}{builderVersion, tinyInit + tinyUdhcpc, r})
	if err != nil {
		panic("build: " + err.Error())
	}
	return master.DigestOf(document)
}

// traits says what the image of a recipe can do.
func (r Recipe) traits() master.Traits {
	t := master.Traits{SectorBytes: sectorBytes, FirstBoot: master.FirstBootCloudInit,
		BootModes: []master.BootMode{master.BootBIOS, master.BootUEFI, master.BootSecureBoot}}
	if r.System == SystemDebian {
		t.GrowPartition, t.RootFileSystem = rootName, "ext4"
	}
	return t
}
