package build

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"

	"ingot/images/master"
)

// builderVersion is part of each recipe digest: raise it when the same recipe
// gives another image.
const builderVersion = 2

// System is the kind of operating system a recipe makes.
type System string

// The systems.
const (
	// SystemDebian is a Debian with a root file system of its own.
	SystemDebian System = "debian"
	// SystemTiny is a kernel and an initramfs that phones home, for tests.
	SystemTiny System = "tiny"
)

// Recipe says what goes into an image. Its keys are described for people in
// images/recipes/recipe.schema.json.
type Recipe struct {
	// Name is the image's name, like "debian-12".
	Name string `yaml:"name" json:"name"`
	// Description is for people.
	Description string `yaml:"description" json:"-"`
	// Extends and Variables are used up by parsing.
	Extends   string            `yaml:"extends" json:"-"`
	Variables map[string]string `yaml:"variables" json:"-"`
	// System is empty for the sources image, installer and oci.
	System  System `yaml:"system" json:"system"`
	Archive `yaml:",inline"`
	// Source is where the system comes from; nil is a bootstrap from Archive.
	Source *Source `yaml:"source" json:"source,omitempty"`
	// SizeMiB is the size of the disk; the root grows on the machine.
	SizeMiB int `yaml:"sizeMiB" json:"sizeMiB"`
	// SectorBytes is the logical sector size of the disks it is made for: 512, 4096, or
	// 0 for 512. With 4096 it boots by UEFI alone: no BIOS reads such a disk.
	SectorBytes int `yaml:"sectorBytes" json:"sectorBytes,omitempty"`
	// KernelCommandLine follows root= on the kernel's command line.
	KernelCommandLine string `yaml:"kernelCommandLine" json:"kernelCommandLine"`
	// Packages, Enable and Files are short forms: they come before Steps.
	Packages []string `yaml:"packages" json:"packages"`
	Enable   []string `yaml:"enable" json:"enable"`
	Files    []File   `yaml:"files" json:"files"`
	Steps    []Action `yaml:"steps" json:"steps,omitempty"`
	// Checks run in the booted image; they and Test are the boot test's.
	Checks []Check  `yaml:"checks" json:"checks,omitempty"`
	Test   BootTest `yaml:"test" json:"test"`

	// places says where each key was written ("x.yaml: line 7"), dir is the folder
	// that files beside the recipe are in; both are empty for a recipe made in Go.
	places map[string]string
	dir    string
}

// File is a file that a recipe writes.
type File struct {
	Path    string `yaml:"path" json:"path"`
	Content string `yaml:"content" json:"content"`
	// From is a file beside the recipe; parsing moves what is in it to Content.
	From string `yaml:"from" json:"-"`
	// Mode is the permission bits; 0 is 0644.
	Mode fs.FileMode `yaml:"mode" json:"mode"`
	// Owner is USER, USER:GROUP or numbers of the target; empty is root.
	Owner string `yaml:"owner" json:"owner,omitempty"`
}

// Check is a command that the boot test runs in the booted image.
type Check struct {
	Name    string `yaml:"name" json:"name"`
	Command string `yaml:"command" json:"command"`
	// Expect is a regular expression (RE2) that must fit the output, without line breaks at
	// its end; empty fits all.
	Expect string `yaml:"expect" json:"expect,omitempty"`
	// ExitCode is what the command must end with.
	ExitCode int `yaml:"exitCode" json:"exitCode,omitempty"`
}

// BootTest says how the image is boot-tested.
type BootTest struct {
	// Modes are bios, uefi, secureboot; none means all that the image boots in.
	Modes []master.BootMode `yaml:"modes" json:"modes,omitempty"`
	// Timeout is a Go duration like "10m"; empty leaves it to the boot test.
	Timeout   string `yaml:"timeout" json:"timeout,omitempty"`
	MemoryMiB int    `yaml:"memoryMiB" json:"memoryMiB,omitempty"`
}

// Digest covers all that the recipe says, with the files it names and the recipe it
// extends, and the version of the builder. What the archive holds on a given day is
// not part of it: that is [Inputs].
func (r Recipe) Digest() master.Digest {
	document, err := json.Marshal(struct {
		Builder int
		Scripts string
		Recipe  Recipe
	}{builderVersion, tinyInit + tinyUdhcpc + ociInit, r})
	if err != nil {
		panic("build: " + err.Error())
	}
	return master.DigestOf(document)
}

// allPackages are the packages of the recipe and of its steps, without repetition,
// each with its key.
func (r Recipe) allPackages() (names []string, keys map[string]string) {
	keys = map[string]string{}
	add := func(key string, list []string) {
		for i, p := range list {
			if keys[p] == "" {
				names, keys[p] = append(names, p), fmt.Sprintf("%s[%d]", key, i)
			}
		}
	}
	add("packages", r.Packages)
	for i, a := range r.Steps {
		add(fmt.Sprintf("steps[%d].packages", i), a.Packages)
	}
	return names, keys
}

// place says where a key was written, with a space after it; empty when not known.
func (r Recipe) place(key string) string {
	if p := r.places[key]; p != "" {
		return p + ": "
	}
	return ""
}

// traits says what the image of a recipe can do.
func (r Recipe) traits() master.Traits {
	t := master.Traits{SectorBytes: r.sectorBytes(), FirstBoot: master.FirstBootCloudInit,
		BootModes: []master.BootMode{master.BootBIOS, master.BootUEFI, master.BootSecureBoot}}
	if !r.bootsBIOS() {
		t.BootModes = t.BootModes[1:]
	}
	if r.hasRoot() {
		t.GrowPartition, t.RootFileSystem = rootName, "ext4"
	}
	switch s := r.Source; {
	case s == nil:
	case s.OCI != nil:
		t.FirstBoot = master.FirstBootNone
	default: // somebody else's partitions; their cloud-init grows the root
		t.GrowPartition, t.RootFileSystem = "", ""
		t.BootModes = []master.BootMode{master.BootUEFI}
		if len(r.Test.Modes) > 0 {
			t.BootModes = r.Test.Modes
		}
	}
	return t
}

func (r Recipe) sectorBytes() int {
	if r.SectorBytes == 0 {
		return defaultSectorBytes
	}
	return r.SectorBytes
}

// bootsBIOS: a BIOS counts in sectors of 512 bytes (INT 13h) and reads no other disk.
func (r Recipe) bootsBIOS() bool { return r.sectorBytes() == defaultSectorBytes }

// bootNames are the boot modes, for people.
func (r Recipe) bootNames() string {
	var names []string
	for _, mode := range r.traits().BootModes {
		names = append(names, string(mode))
	}
	return strings.Join(names, ", ")
}

// hasRoot tells a system on a root file system from one that is all initramfs.
func (r Recipe) hasRoot() bool { return r.System != SystemTiny }
