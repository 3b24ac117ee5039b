package lint

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"ingot/images/contents"
)

// tool is a check that a package is installed, by its name or by its program.
func tool(pkg string, programs ...string) func(*image) (Finding, error) {
	return func(i *image) (Finding, error) {
		if i.packages[pkg] {
			return ok("%s", pkg), nil
		}
		at, err := i.has(programs...)
		if at != "" || err != nil {
			return ok("/%s", at), err
		}
		return bad("%s is not there", pkg), nil
	}
}

func serverKernel(i *image) (Finding, error) {
	if i.Root == nil {
		return Finding{}, errNoRoot
	}
	server, cloud := "", ""
	err := i.Root.Walk("boot", func(e contents.Entry) error {
		name := path.Base(e.Path)
		switch {
		case e.Info.IsDir() || !strings.HasPrefix(name, "vmlinuz"):
		case strings.Contains(name, "cloud"):
			cloud = name
		default:
			server = name
		}
		return nil
	})
	switch {
	case err != nil:
		return Finding{}, err
	case server != "":
		return ok("%s", server), nil
	case cloud != "":
		return bad("%s is the only one", cloud), nil
	}
	return bad("there is no kernel in /boot"), nil
}

// configs are where boot loaders keep their configuration, on the EFI system partition
// and in the root.
var configs = []string{"EFI/debian/grub.cfg", "EFI/ubuntu/grub.cfg", "EFI/BOOT/grub.cfg", "boot/grub/grub.cfg", "boot/grub2/grub.cfg", "grub/grub.cfg",
	"boot/extlinux/extlinux.conf", "etc/kernel/cmdline", "etc/default/grub"}

func serialConsole(i *image) (Finding, error) {
	if i.Root == nil && i.ESP == nil {
		return Finding{}, errNoRoot
	}
	for _, f := range []*contents.FS{i.ESP, i.Root} {
		for _, name := range configs {
			if f == nil {
				continue
			}
			text, err := i.text(f, name)
			if err != nil {
				return Finding{}, err
			}
			if strings.Contains(text, "console=ttyS0") {
				return ok("/%s", name), nil
			}
		}
	}
	entries, err := i.loaderEntries()
	if strings.Contains(entries, "console=ttyS0") {
		return ok("boot loader entries"), err
	}
	return bad("no boot loader configuration has console=ttyS0"), err
}

// loaderEntries are those of the Boot Loader Specification, in one text.
func (i *image) loaderEntries() (string, error) {
	var all strings.Builder
	for _, at := range []struct {
		f   *contents.FS
		dir string
	}{{i.ESP, "loader/entries"}, {i.Root, "boot/loader/entries"}, {i.Root, "loader/entries"}} {
		if at.f == nil {
			continue
		}
		list, err := at.f.ReadDir(at.dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		for _, e := range list {
			text, err := i.text(at.f, e.Path)
			if err != nil {
				return "", err
			}
			all.WriteString(text)
		}
	}
	return all.String(), nil
}

func grows(i *image) (Finding, error) {
	at, err := i.has("usr/bin/growpart", "usr/lib/systemd/systemd-growfs")
	switch {
	case err != nil:
		return Finding{}, err
	case at == "usr/bin/growpart":
		return ok("growpart"), nil
	case at != "":
		return poor("there is systemd-growfs, and no growpart: the agent grows the partition on metal, nobody does in a VM"), nil
	}
	return bad("nothing grows the root"), nil
}

func fallbackLoader(i *image) (Finding, error) {
	if i.ESP == nil {
		return bad("there is no EFI system partition"), nil
	}
	_, err := i.ESP.Stat("EFI/BOOT/BOOTX64.EFI")
	if errors.Is(err, fs.ErrNotExist) {
		return bad("it is not on the EFI system partition"), nil
	}
	return ok("there"), err
}

func cloudInit(i *image) (Finding, error) {
	if i.packages["cloud-init"] {
		return ok("cloud-init"), nil
	}
	at, err := i.has("usr/bin/cloud-init")
	if at != "" || err != nil {
		return ok("/%s", at), err
	}
	return bad("cloud-init is not there"), nil
}

// cloudInitClean wants no trace of an instance: with one, cloud-init takes the next
// machine for the same and does nothing.
func cloudInitClean(i *image) (Finding, error) {
	at, err := i.has("var/lib/cloud/instance", "var/lib/cloud/data/instance-id")
	if at != "" {
		return bad("/%s: it has run here", at), err
	}
	found, err := i.below("var/lib/cloud/instances", "*")
	if len(found) > 0 {
		return bad("%s", few(found)), err
	}
	return ok("it has never run"), err
}
