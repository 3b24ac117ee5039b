package build

import (
	"fmt"
	"path"
	"strings"
)

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
