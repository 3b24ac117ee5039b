package build

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"ingot/inventory"
)

// Guest runs work in virtual machines. It is what the sources image and installer need;
// images/guestrun has one on QEMU.
type Guest interface {
	// Customise boots a copy of a disk and runs scripts in it, cleans it for cloning, shuts
	// it down, and writes the raw disk to g.To. A script that fails is an error that says
	// which, with its exit code and last lines.
	Customise(ctx context.Context, g Customisation) error
	// Install runs an unattended installer until it powers the machine off, and leaves the
	// disk raw at i.To.
	Install(ctx context.Context, i Installation) error
}

// Customisation is a disk and what to do in it.
type Customisation struct {
	// Base is the disk, which stays as it is; Format is raw, qcow2, vmdk or vhdx.
	Base, Format string
	Scripts      []GuestScript
	// Repository is a folder with a Debian archive of the packages ("deb [trusted=yes]
	// ... ./"), for a guest without a network; empty for none. Packages are to be installed
	// from it before the scripts.
	Repository string
	Packages   []string
	SizeBytes  int64
	To         string
	Log        io.Writer
}

// GuestScript is one script of a step, for /bin/sh unless Interpreter is set.
type GuestScript struct {
	Name, Script, Interpreter string
	Env                       map[string]string
}

// Installation is an installer and its answers.
type Installation struct {
	Kind InstallerKind
	// Kernel and Initrd are files; a preseed is in the initrd already. ISO may be empty.
	Kernel, Initrd, ISO string
	CommandLine         string
	// Answer is the answer file, for installers that read it from a medium or a server.
	AnswerName string
	Answer     []byte
	// Accepted is a regular expression that the console shows once the answers are taken.
	Accepted  string
	Firmware  string
	SizeBytes int64
	To        string
	Log       io.Writer
}

// input gets a file that the recipe names into the cache and returns its path.
func (b *build) input(ctx context.Context, key string, in Input) (string, error) {
	b.inputs.Files = append(b.inputs.Files, InputFile{Key: key, SHA256: in.SHA256, URL: in.URL})
	where := b.recipe.place(key) + "key " + key
	if !b.cache.has(in.SHA256, -1) {
		switch {
		case b.opts.Pinned != nil:
			return "", fmt.Errorf("%s: the cache %s lacks it, and the inputs are pinned: %w", where, b.cache.dir, inventory.ErrNotFound)
		case in.URL != "":
			if err := b.cache.download(ctx, in.URL, in.SHA256); err != nil {
				return "", fmt.Errorf("%s: %w", where, err)
			}
		default:
			f, err := os.Open(b.beside(in.File))
			if err != nil {
				return "", fmt.Errorf("%s: %w", where, err)
			}
			defer f.Close()
			if _, err := b.cache.put(f, in.SHA256); err != nil {
				return "", inventory.Invalid("%s: %s: %v", where, in.File, err)
			}
		}
	}
	path, err := b.cache.verify(in.SHA256)
	if err != nil {
		return "", fmt.Errorf("%s: %w", where, err)
	}
	return path, nil
}

// beside is the path of a file beside the recipe.
func (b *build) beside(file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(b.recipe.dir, file)
}

// customise makes the disk of the source image.
func (b *build) customise(ctx context.Context) error {
	if b.opts.Guest == nil {
		return errNoGuest
	}
	s := b.recipe.Source.Image
	b.step("get image", s.URL+s.File)
	base, err := b.input(ctx, "source.image", s.Input)
	if err != nil {
		return err
	}
	g := Customisation{Base: base, Format: s.Format, SizeBytes: int64(b.recipe.SizeMiB) << 20, To: b.raw, Log: b.log}
	if err := b.guestPackages(ctx, &g); err != nil {
		return err
	}
	for i, a := range b.recipe.actions() {
		g.Scripts = append(g.Scripts, a.guestScript(i))
	}
	b.step("customise", fmt.Sprintf("%d packages, %d steps", len(g.Packages), len(g.Scripts)))
	return b.opts.Guest.Customise(ctx, g)
}

// guestPackages makes a repository of the packages that a guest is to install.
func (b *build) guestPackages(ctx context.Context, g *Customisation) error {
	names, keys := b.recipe.allPackages()
	if len(names) == 0 {
		return nil
	}
	if b.recipe.Release == "" {
		return inventory.Invalid("%skey packages: the recipe names no archive for them: give release and components", b.recipe.place("packages"))
	}
	// What the image has installed is not known here, so all that the packages need is there.
	err := b.resolve(ctx, packageSet{names: names, keys: keys, whole: true})
	if err == nil {
		g.Packages = names
		g.Repository, err = b.repository()
	}
	return err
}

// guestScript is a step as a script that runs inside.
func (a action) guestScript(i int) GuestScript {
	if a.Script != nil {
		return GuestScript{Name: a.name, Script: a.Script.Run, Interpreter: a.Script.Interpreter, Env: a.Script.Env}
	}
	script := "set -eu\nroot=\ntarget() { \"$@\" </dev/null; }\nchroot() { shift; \"$@\"; }\n"
	for _, f := range a.Files {
		script += f.shell()
	}
	if a.Files == nil {
		text, _, _ := a.shell(i, "") // only files need an archive, and only they can fail
		script += text
	}
	return GuestScript{Name: a.name, Script: script}
}

// shell writes the file where it runs. Its content travels as octal escapes of printf(1),
// which every system has.
func (f File) shell() string {
	mode := f.Mode
	if mode == 0 {
		mode = 0o644
	}
	var escaped strings.Builder
	for i := range len(f.Content) {
		if c := f.Content[i]; c >= ' ' && c < 0x7f && !strings.ContainsRune(`\%'`, rune(c)) {
			escaped.WriteByte(c)
		} else {
			fmt.Fprintf(&escaped, `\%03o`, c)
		}
	}
	out := fmt.Sprintf("mkdir -p %s\nrm -f %[2]s\nprintf '%[3]s' > %[2]s\nchmod %04[4]o %[2]s\n", quote(filepath.Dir(f.Path)), quote(f.Path), escaped.String(), uint32(mode))
	if f.Owner != "" {
		out += fmt.Sprintf("chown %s %s\n", quote(f.Owner), quote(f.Path))
	}
	return out
}

// install makes the disk of the source installer.
func (b *build) install(ctx context.Context) error {
	if b.opts.Guest == nil {
		return errNoGuest
	}
	s := b.recipe.Source.Installer
	b.step("get installer", string(s.Kind))
	i := Installation{Kind: s.Kind, CommandLine: s.CommandLine, Answer: []byte(s.Answer), AnswerName: answerNames[s.Kind], Accepted: s.Accepted,
		Firmware: s.Firmware, SizeBytes: int64(b.recipe.SizeMiB) << 20, To: b.raw, Log: b.log}
	if err := b.installerFiles(ctx, s, &i); err != nil {
		return err
	}
	if s.Kind == InstallerPreseed {
		if err := b.preseedInitrd(ctx, s, &i); err != nil {
			return fmt.Errorf("put the preseed into the initrd: %w", err)
		}
	}
	b.step("install", "")
	return b.opts.Guest.Install(ctx, i)
}

// answerNames are what the installers call their answer files.
var answerNames = map[InstallerKind]string{InstallerPreseed: "preseed.cfg", InstallerAutoinstall: "user-data", InstallerKickstart: "ks.cfg", InstallerWindows: "autounattend.xml"}

func (b *build) installerFiles(ctx context.Context, s *InstallerSource, i *Installation) error {
	if s.Package != "" {
		root, err := b.unpackOnly(ctx, s.Package, "source.installer.package")
		if err != nil {
			return err
		}
		i.Kernel, i.Initrd = filepath.Join(root, s.KernelPath), filepath.Join(root, s.InitrdPath)
		for key, path := range map[string]string{"kernelPath": i.Kernel, "initrdPath": i.Initrd} {
			if _, err := os.Stat(path); err != nil {
				return inventory.Invalid("%skey source.installer.%s: the package %s has no such file", b.recipe.place("source.installer."+key), key, s.Package)
			}
		}
	}
	for _, in := range []struct {
		key   string
		input *Input
		to    *string
	}{{"kernel", s.Kernel, &i.Kernel}, {"initrd", s.Initrd, &i.Initrd}, {"iso", s.ISO, &i.ISO}} {
		if in.input == nil {
			continue
		}
		path, err := b.input(ctx, "source.installer."+in.key, *in.input)
		if err != nil {
			return err
		}
		*in.to = path
	}
	return nil
}

// unpackOnly gets one package, without what it needs, and unpacks it.
func (b *build) unpackOnly(ctx context.Context, name, key string) (root string, err error) {
	if err := b.resolve(ctx, packageSet{names: []string{name}, keys: map[string]string{name: key}}); err != nil {
		return "", err
	}
	root = filepath.Join(b.dir, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		return "", err
	}
	for _, p := range b.inputs.Packages {
		if p.Name != name {
			continue
		}
		file, err := b.cache.verify(p.SHA256)
		if err != nil {
			return "", fmt.Errorf("read package %s %s: %w", p.Name, p.Version, err)
		}
		_, err = b.run(ctx, "dpkg-deb", "--extract", file, root)
		return root, err
	}
	return "", fmt.Errorf("package %s is not among the inputs: %w", name, inventory.ErrNotFound)
}

// preseedInitrd appends an archive with /preseed.cfg to the installer's initrd, where it
// looks first (Debian installation guide, appendix B.2.1). The kernel unpacks one archive
// after the other (Documentation/driver-api/early-userspace/buffer-format.rst).
func (b *build) preseedInitrd(ctx context.Context, s *InstallerSource, i *Installation) error {
	dir := filepath.Join(b.dir, "preseed")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "preseed.cfg"), []byte(s.Answer), 0o644); err != nil {
		return err
	}
	initrd := filepath.Join(b.dir, "initrd.installer")
	_, err := b.runQuiet(ctx, "sh", "-c", `cd "$1" && touch --date="@$SOURCE_DATE_EPOCH" preseed.cfg && { cat "$2"; echo preseed.cfg | cpio --quiet --reproducible -R 0:0 -H newc -o | gzip -n; } > "$3"`, "sh", dir, i.Initrd, initrd)
	i.Initrd = initrd
	return err
}
