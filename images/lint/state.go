package lint

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"ingot/images/contents"
)

// below finds the regular files in a folder, and below it, whose name fits one of the
// patterns; sizes count only where needed: an empty file holds no state.
func (i *image) below(dir string, patterns ...string) (found []string, err error) {
	if i.Root == nil {
		return nil, errNoRoot
	}
	err = i.Root.Walk(dir, func(e contents.Entry) error {
		if e.Info.Mode()&fs.ModeType != 0 || e.Info.Size() == 0 {
			return nil
		}
		for _, p := range patterns {
			if fits, err := path.Match(p, path.Base(e.Path)); err != nil || fits {
				found = append(found, "/"+e.Path)
				return err
			}
		}
		return nil
	})
	return found, err
}

// few shows the first of many.
func few(list []string) string {
	const most = 3
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
}

// nothing is a check that a folder has no such files.
func nothing(dir, pattern, what string) func(*image) (Finding, error) {
	return func(i *image) (Finding, error) {
		found, err := i.below(dir, pattern)
		if len(found) > 0 {
			return bad("%s: %s", few(found), what), err
		}
		return ok("none"), err
	}
}

// machineID wants an empty file: systemd fills it in at the first boot (machine-id(5)).
func machineID(i *image) (Finding, error) {
	id, err := i.text(i.Root, "etc/machine-id")
	if err != nil {
		return Finding{}, err
	}
	id = strings.TrimSpace(id)
	there, err := i.has("etc/machine-id")
	switch {
	case err != nil:
		return Finding{}, err
	case id == "uninitialized":
		return poor("it says uninitialized: systemd takes the boot for a first one, and asks"), nil
	case id != "":
		return bad("/etc/machine-id is filled in"), nil
	case there == "":
		return poor("/etc/machine-id is missing: a read-only root can't make one"), nil
	}
	// The link that Debian makes to /etc/machine-id is right.
	if e, err := i.Root.Lstat("var/lib/dbus/machine-id"); err == nil && e.Target == "" && e.Info.Size() > 0 {
		return bad("/var/lib/dbus/machine-id is filled in"), nil
	}
	return ok("empty"), nil
}

// leases are where DHCP clients keep what they were given: dhclient, NetworkManager,
// systemd-networkd, dhcpcd.
var leases = []string{"var/lib/dhcp", "var/lib/NetworkManager", "var/lib/systemd/network", "var/lib/dhclient", "var/lib/dhcpcd", "run/systemd/netif"}

func noDHCPState(i *image) (Finding, error) {
	var all []string
	for _, dir := range leases {
		found, err := i.below(dir, "*.lease*", "*.lease", "duid*", "*_duid", "secret_key", "[0-9]*")
		if err != nil {
			return Finding{}, err
		}
		all = append(all, found...)
	}
	if len(all) > 0 {
		return bad("%s", few(all)), nil
	}
	return ok("none"), nil
}

func noNICNames(i *image) (Finding, error) {
	found, err := i.below("etc/udev/rules.d", "*persistent-net*", "*persistent-cd*")
	if err != nil {
		return Finding{}, err
	}
	links, err := i.below("etc/systemd/network", "*.link")
	for _, name := range links {
		text, err := i.text(i.Root, strings.TrimPrefix(name, "/"))
		if err != nil {
			return Finding{}, err
		}
		if strings.Contains(text, "MACAddress=") {
			found = append(found, name)
		}
	}
	if len(found) > 0 {
		return bad("%s", few(found)), err
	}
	return ok("none"), err
}

func noRandomSeed(i *image) (Finding, error) {
	at, err := i.has("var/lib/systemd/random-seed", "var/lib/urandom/random-seed")
	if at != "" {
		return bad("/%s", at), err
	}
	return ok("none"), err
}

func noLogs(i *image) (Finding, error) {
	found, err := i.below("var/log", "*")
	if len(found) > 0 {
		return bad("%s", few(found)), err
	}
	return ok("none"), err
}

// noPackageCaches looks for packages that were fetched and indexes of archives.
func noPackageCaches(i *image) (Finding, error) {
	var all []string
	for dir, patterns := range map[string][]string{
		"var/cache/apt": {"*.deb", "*.bin"}, "var/lib/apt/lists": {"*_Packages*", "*_InRelease", "*_Release"},
		"var/cache/dnf": {"*"}, "var/cache/yum": {"*"}, "var/cache/zypp": {"*"}, "var/cache/pacman/pkg": {"*"},
	} {
		found, err := i.below(dir, patterns...)
		if err != nil {
			return Finding{}, err
		}
		all = append(all, found...)
	}
	if len(all) > 0 {
		return bad("%s", few(all)), nil
	}
	return ok("none"), nil
}
