package build

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"ingot/inventory"
)

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
