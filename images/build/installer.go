package build

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"ingot/inventory"
)

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
