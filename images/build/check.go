package build

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"ingot/images/master"
	"ingot/inventory"
)

// problem is what is wrong with the value of a key.
type problem struct{ key, text string }

var (
	packageName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)
	unitName    = regexp.MustCompile(`^[A-Za-z0-9:_.@\\-]+\.(service|timer|socket|target|path|mount)$`)
	plainWord   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)
	userName    = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`)
	ownerName   = regexp.MustCompile(`^[a-z0-9_][a-z0-9_-]*(:[a-z0-9_][a-z0-9_-]*)?$`)
	envName     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	hexDigest   = regexp.MustCompile(`^[0-9a-f]{64}$`)
	ociDigest   = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

const snapshotForm = "20060102T150405Z"

// checker collects problems.
type checker struct{ list []problem }

func (c *checker) add(key, format string, args ...any) {
	c.list = append(c.list, problem{key, fmt.Sprintf(format, args...)})
}

// must notes a problem unless ok.
func (c *checker) must(ok bool, key, format string, args ...any) {
	if !ok {
		c.add(key, format, args...)
	}
}

// Check returns an inventory.ErrInvalid that names the first key which is wrong.
func (r Recipe) Check() error {
	for _, p := range r.problems() {
		return inventory.Invalid("%skey %s: %s", r.place(p.key), p.key, p.text)
	}
	return nil
}

// problems are all that is wrong, in the order of the keys.
func (r Recipe) problems() []problem {
	c := &checker{}
	if inventory.CheckImageName(r.Name) != nil {
		c.add("name", "%q is not a name like debian-12: a-z, 0-9, - and dots", r.Name)
	}
	r.checkSource(c)
	c.must(r.SizeMiB >= 64 && r.SizeMiB <= 1<<20, "sizeMiB", "%d is not between 64 and 1048576", r.SizeMiB)
	c.must(!strings.ContainsAny(r.KernelCommandLine, "\n\r'\"\\$;{}"), "kernelCommandLine", "%q holds a character that GRUB would interpret", r.KernelCommandLine)
	c.packages("packages", r.Packages)
	c.units("enable", r.Enable)
	c.files("files", r.Files)
	for i, a := range r.Steps {
		c.action(fmt.Sprintf("steps[%d]", i), a)
	}
	r.checkTests(c)
	return c.list
}

func (r Recipe) checkSource(c *checker) {
	s := r.Source
	if s == nil {
		c.must(r.System == SystemDebian || r.System == SystemTiny, "system", "%q is not debian or tiny", r.System)
		c.archive(r.Archive)
		if r.System == SystemTiny {
			c.must(len(r.Steps) == 0 && len(r.Files) == 0 && len(r.Enable) == 0, "steps", "a tiny system has no files, units or steps: all of it is its initramfs")
		}
		return
	}
	given := 0
	for _, is := range []bool{s.Debian != nil, s.Image != nil, s.Installer != nil, s.OCI != nil} {
		if is {
			given++
		}
	}
	c.must(given == 1, "source", "%d sources are given, want one of debian, image, installer, oci", given)
	c.must(r.System == "", "system", "%q is for a bootstrap: leave it out with source", r.System)
	if s.Image != nil {
		c.input("source.image", s.Image.Input)
		c.must(slices.Contains([]string{"raw", "qcow2", "vmdk", "vhdx"}, s.Image.Format), "source.image.format", "%q is not raw, qcow2, vmdk or vhdx", s.Image.Format)
	}
	if s.Installer != nil {
		r.checkInstaller(c, *s.Installer)
	}
	if s.OCI != nil {
		c.archive(r.Archive)
		c.must(s.OCI.Layout != "", "source.oci.layout", "it is missing: name the folder of an OCI image layout")
		c.must(ociDigest.MatchString(s.OCI.Digest), "source.oci.digest", "%q is not sha256: and 64 hex digits", s.OCI.Digest)
		for i, a := range r.Steps {
			c.must(a.Script == nil && a.Users == nil && a.Services == nil, fmt.Sprintf("steps[%d]", i), "a step %s can't run in a container's file system: make it part of the container image", a.kind())
		}
		c.must(len(r.Enable) == 0, "enable", "units can't be enabled in a container's file system: make it part of the container image")
	}
}

func (r Recipe) checkInstaller(c *checker, in InstallerSource) {
	const key = "source.installer"
	kinds := []InstallerKind{InstallerPreseed, InstallerAutoinstall, InstallerKickstart, InstallerWindows}
	c.must(slices.Contains(kinds, in.Kind), key+".kind", "%q is not one of %s", in.Kind, kinds)
	c.must(in.Answer != "", key+".answer", "it is empty: the installer would ask")
	c.must(in.Firmware == "" || in.Firmware == "bios" || in.Firmware == "uefi", key+".firmware", "%q is not bios or uefi", in.Firmware)
	c.must(!strings.ContainsAny(in.CommandLine, "\n\r"), key+".commandLine", "%q has a line break", in.CommandLine)
	c.regexp(key+".accepted", in.Accepted)
	if in.Package != "" {
		c.archive(r.Archive)
		c.packages(key+".package", []string{in.Package})
		c.must(in.Kernel == nil && in.Initrd == nil, key+".kernel", "kernel and initrd come from the package %s: give kernelPath and initrdPath in it", in.Package)
		c.must(cleanAbsolute(in.KernelPath), key+".kernelPath", "%q is not a path in the package, like /usr/lib/.../linux", in.KernelPath)
		c.must(cleanAbsolute(in.InitrdPath), key+".initrdPath", "%q is not a path in the package, like /usr/lib/.../initrd.gz", in.InitrdPath)
		return
	}
	if in.Kind == InstallerWindows {
		c.must(in.ISO != nil, key+".iso", "it is missing: Windows is installed from its ISO")
	} else {
		c.must(in.Kernel != nil && in.Initrd != nil, key+".kernel", "kernel and initrd are missing: give both, or package")
	}
	for name, input := range map[string]*Input{"kernel": in.Kernel, "initrd": in.Initrd, "iso": in.ISO} {
		if input != nil {
			c.input(key+"."+name, *input)
		}
	}
}

func (c *checker) input(key string, in Input) {
	c.must((in.File == "") != (in.URL == ""), key+".file", "give either file or url")
	c.must(in.URL == "" || webURL(in.URL), key+".url", "%q is not an http or https URL", in.URL)
	c.must(hexDigest.MatchString(in.SHA256), key+".sha256", "%q is not 64 hex digits; sha256sum FILE prints them", in.SHA256)
}

func (c *checker) archive(a Archive) {
	c.must(plainWord.MatchString(a.Release), "release", "%q is not a Debian code name", a.Release)
	c.must(a.Mirror == "" || webURL(a.Mirror), "mirror", "%q is not an http or https URL", a.Mirror)
	c.must(a.SecurityMirror == "" || webURL(a.SecurityMirror), "securityMirror", "%q is not an http or https URL", a.SecurityMirror)
	c.must(a.SecurityMirror == "" || a.Mirror != "", "securityMirror", "%q without a mirror", a.SecurityMirror)
	c.must(len(a.Components) > 0, "components", "it is empty, want a list of archive components, like main")
	for i, name := range a.Components {
		c.must(plainWord.MatchString(name), fmt.Sprintf("components[%d]", i), "%q is not an archive component, like main", name)
	}
	if a.Snapshot != "" {
		_, err := time.Parse(snapshotForm, a.Snapshot)
		c.must(err == nil, "snapshot", "%q is not a time like 20261101T000000Z", a.Snapshot)
		c.must(a.Mirror == "", "snapshot", "%q is a time of snapshot.debian.org, which takes the place of mirror: give one of them", a.Snapshot)
	}
}

func webURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && !strings.ContainsAny(s, " []'\"\n")
}

func (c *checker) packages(key string, names []string) {
	for i, p := range names {
		at := fmt.Sprintf("%s[%d]", key, i)
		c.must(packageName.MatchString(p), at, "%q is not a package name", p)
		c.must(!strings.HasPrefix(p, "linux-image-cloud"), at, "%s has no drivers for server disks and network cards: use linux-image-amd64", p)
	}
}

func (c *checker) units(key string, units []string) {
	for i, unit := range units {
		c.must(unitName.MatchString(unit) && unit[0] != '-', fmt.Sprintf("%s[%d]", key, i), "%q is not a systemd unit, like ssh.service", unit)
	}
}

func (c *checker) files(key string, files []File) {
	for i, f := range files {
		at := fmt.Sprintf("%s[%d]", key, i)
		c.must(cleanAbsolute(f.Path), at+".path", "%q is not a clean absolute path", f.Path)
		c.must(f.Mode&^0o7777 == 0, at+".mode", "%o is not a file mode", uint32(f.Mode))
		c.must(f.Owner == "" || ownerName.MatchString(f.Owner), at+".owner", "%q is not USER or USER:GROUP", f.Owner)
	}
}

func cleanAbsolute(p string) bool {
	return path.IsAbs(p) && path.Clean(p) == p && p != "/" && !strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func (c *checker) action(key string, a Action) {
	given := 0
	for _, is := range []bool{a.Packages != nil, a.Files != nil, a.Script != nil, a.Users != nil, a.Services != nil, a.Cleanup != nil} {
		if is {
			given++
		}
	}
	c.must(given == 1, key, "a step is one of packages, files, script, users, services, cleanup; here are %d", given)
	c.packages(key+".packages", a.Packages)
	c.files(key+".files", a.Files)
	if a.Script != nil {
		c.must(a.Script.Run != "", key+".script", "nothing to run: give run or from")
		c.must(a.Script.Interpreter == "" || cleanAbsolute(a.Script.Interpreter), key+".script.interpreter", "%q is not a clean absolute path", a.Script.Interpreter)
		c.must(!strings.ContainsAny(a.Script.Name, "\n\r\""), key+".script.name", "%q has a line break or a quote", a.Script.Name)
		for _, name := range sortedKeys(a.Script.Env) {
			c.must(envName.MatchString(name), key+".script.env", "%q is not a name like MY_VARIABLE", name)
		}
	}
	for i, u := range a.Users {
		c.user(fmt.Sprintf("%s.users[%d]", key, i), u)
	}
	if a.Services != nil {
		c.units(key+".services.enable", a.Services.Enable)
		c.units(key+".services.disable", a.Services.Disable)
		c.units(key+".services.mask", a.Services.Mask)
	}
	for i, p := range a.Cleanup {
		c.must(cleanAbsolute(p), fmt.Sprintf("%s.cleanup[%d]", key, i), "%q is not a clean absolute path", p)
		_, err := path.Match(p, "")
		c.must(err == nil, fmt.Sprintf("%s.cleanup[%d]", key, i), "%q: %v", p, err)
	}
}

func (c *checker) user(key string, u User) {
	c.must(userName.MatchString(u.Name), key+".name", "%q is not a user name", u.Name)
	for i, g := range u.Groups {
		c.must(userName.MatchString(g), fmt.Sprintf("%s.groups[%d]", key, i), "%q is not a group name", g)
	}
	for i, k := range u.SSHKeys {
		c.must(len(strings.Fields(k)) >= 2 && !strings.ContainsAny(k, "\n\r"), fmt.Sprintf("%s.sshKeys[%d]", key, i), "it is not one line of an authorized_keys file, like ssh-ed25519 AAAA... name")
	}
	c.must(u.Shell == "" || cleanAbsolute(u.Shell), key+".shell", "%q is not a clean absolute path", u.Shell)
}

func (r Recipe) checkTests(c *checker) {
	for i, check := range r.Checks {
		at := fmt.Sprintf("checks[%d]", i)
		c.must(check.Name != "", at+".name", "it is empty")
		c.must(check.Command != "", at+".command", "it is empty")
		c.regexp(at+".expect", check.Expect)
		c.must(check.ExitCode >= 0 && check.ExitCode <= 255, at+".exitCode", "%d is not between 0 and 255", check.ExitCode)
	}
	modes := []master.BootMode{master.BootBIOS, master.BootUEFI, master.BootSecureBoot}
	for i, m := range r.Test.Modes {
		c.must(slices.Contains(modes, m), fmt.Sprintf("test.modes[%d]", i), "%q is not one of %s", m, modes)
	}
	if r.Test.Timeout != "" {
		d, err := time.ParseDuration(r.Test.Timeout)
		c.must(err == nil && d > 0, "test.timeout", "%q is not a time like 10m", r.Test.Timeout)
	}
	c.must(r.Test.MemoryMiB == 0 || r.Test.MemoryMiB >= 128, "test.memoryMiB", "%d is less than 128", r.Test.MemoryMiB)
}

func (c *checker) regexp(key, expression string) {
	_, err := regexp.Compile(expression)
	c.must(err == nil, key, "%q is not a regular expression: %v", expression, err)
}
