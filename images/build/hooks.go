package build

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"ingot/inventory"
)

// writeHooks writes a shell script for the initramfs and one for each step, which
// mmdebstrap runs with the root's path. What belongs to the target runs in it, by chroot.
func (b *build) writeHooks() ([]string, error) {
	dir := filepath.Join(b.dir, "hooks")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	initrd, err := writeInitrdHook(dir)
	if err != nil {
		return nil, err
	}
	hooks := []string{initrd}
	for i, a := range b.recipe.actions() {
		script, files, err := a.shell(i, dir)
		if err != nil {
			return nil, err
		}
		hook := filepath.Join(dir, fmt.Sprintf("%03d", i))
		text := fmt.Sprintf("#!/bin/sh\nprintf '\\ningot: step %[1]d begins\\n' >&2\ntrap 'code=$?; [ $code = 0 ] || printf \"\\ningot: step %[1]d ends with %%d\\n\" $code >&2' EXIT\nset -eu\nroot=$1\nunset TMPDIR APT_CONFIG INITRD\nexport HOME=/root\ntarget() { chroot \"$root\" \"$@\" </dev/null; }\nexec >&2\n%[2]s", i, script)
		if err := os.WriteFile(hook, []byte(text), 0o755); err != nil {
			return nil, err
		}
		if files != nil {
			if err := os.WriteFile(hook+".tar", files, 0o644); err != nil {
				return nil, err
			}
		}
		hooks = append(hooks, hook)
	}
	return hooks, nil
}

// shell is the script of a step, and an archive of files that it unpacks.
func (a action) shell(i int, dir string) (script string, files []byte, err error) {
	unpack := fmt.Sprintf("chroot \"$root\" tar -x -p -C / -f - < %s\n", quote(filepath.Join(dir, fmt.Sprintf("%03d.tar", i))))
	switch {
	case a.Files != nil:
		files, err = packFiles(a.Files)
		return unpack, files, err
	case a.Script != nil:
		name := fmt.Sprintf("/tmp/ingot-step-%d", i)
		files, err = packFiles([]File{{Path: name, Content: a.Script.Run, Mode: 0o700}})
		interpreter := "/bin/sh -e"
		if a.Script.Interpreter != "" {
			interpreter = quote(a.Script.Interpreter)
		}
		env := ""
		for _, key := range sortedKeys(a.Script.Env) {
			env += " " + quote(key+"="+a.Script.Env[key])
		}
		return unpack + fmt.Sprintf("target env%s %s %s\nrm -f \"$root%s\"\n", env, interpreter, name, name), files, err
	case a.Users != nil:
		for _, u := range a.Users {
			script += u.shell()
		}
		return script, nil, nil
	case a.Services != nil:
		for _, verb := range []struct {
			name  string
			units []string
		}{{"enable", a.Services.Enable}, {"disable", a.Services.Disable}, {"mask", a.Services.Mask}} {
			if len(verb.units) > 0 {
				script += "target systemctl " + verb.name + " -- " + quote(verb.units...) + "\n"
			}
		}
		return script, nil, nil
	}
	for _, pattern := range a.Cleanup {
		script += "target sh -c " + quote("rm -rf -- "+quotePattern(pattern)) + "\n"
	}
	return script, nil, nil
}

func (u User) shell() string {
	shell := u.Shell
	if shell == "" {
		shell = "/bin/bash"
	}
	make := fmt.Sprintf("useradd --create-home --user-group --shell %s %s", quote(shell), u.Name)
	if u.System {
		make = fmt.Sprintf("useradd --system --user-group --no-create-home --shell /usr/sbin/nologin %s", u.Name)
	}
	out := fmt.Sprintf("target id -u %[1]s >/dev/null 2>&1 || target %[2]s\ntarget usermod --lock %[1]s\n", u.Name, make)
	if len(u.Groups) > 0 {
		out += fmt.Sprintf("target usermod --append --groups %s %s\n", quote(strings.Join(u.Groups, ",")), u.Name)
	}
	if len(u.SSHKeys) > 0 {
		out += fmt.Sprintf("home=$(target getent passwd %[1]s | cut -d: -f6)\ntarget install -d -m 0700 -o %[1]s -g %[1]s \"$home/.ssh\"\n"+
			"printf '%%s\\n' %[2]s | chroot \"$root\" sh -c 'umask 077; cat > \"$1\"; chown %[1]s:%[1]s \"$1\"' sh \"$home/.ssh/authorized_keys\"\n", u.Name, quote(u.SSHKeys...))
	}
	return out
}

// packFiles makes a tar archive of files, with the names of their owners.
func packFiles(files []File) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(f.Path, "/"), Size: int64(len(f.Content)), Mode: int64(f.Mode), ModTime: time.Unix(sourceDate, 0), Uname: "root", Gname: "root"}
		if f.Mode == 0 {
			h.Mode = 0o644
		}
		if f.Owner != "" {
			user, group, both := strings.Cut(f.Owner, ":")
			if !both {
				group = user
			}
			h.Uname, h.Uid = nameOrNumber(user)
			h.Gname, h.Gid = nameOrNumber(group)
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("file %s: %w", f.Path, err)
		}
		if _, err := w.Write([]byte(f.Content)); err != nil {
			return nil, fmt.Errorf("file %s: %w", f.Path, err)
		}
	}
	err := w.Close()
	return out.Bytes(), err
}

func nameOrNumber(s string) (name string, id int) {
	if n, err := strconv.Atoi(s); err == nil {
		return "", n
	}
	return s, 65534
}

// quote makes words of a shell.
func quote(words ...string) string {
	var out []string
	for _, w := range words {
		out = append(out, "'"+strings.ReplaceAll(w, "'", `'\''`)+"'")
	}
	return strings.Join(out, " ")
}

var notPattern = regexp.MustCompile(`[^A-Za-z0-9/_.*?\[\]-]`)

// quotePattern quotes all of a path but the characters of a pattern.
func quotePattern(p string) string { return notPattern.ReplaceAllString(p, `\$0`) }

var stepEnds = regexp.MustCompile(`(?m)^ingot: step (\d+) ends with (\d+)$`)

// failedStep finds the step that failed in what mmdebstrap said: an inventory.ErrInvalid
// with the step, where it was written, the exit code and the last lines.
func (b *build) failedStep(said string) error {
	m := stepEnds.FindStringSubmatchIndex(said)
	if m == nil {
		return nil
	}
	number, code := said[m[2]:m[3]], said[m[4]:m[5]]
	i, err := strconv.Atoi(number)
	actions := b.recipe.actions()
	if err != nil || i >= len(actions) {
		return nil
	}
	text := said[:m[0]]
	_, text, _ = strings.Cut(text, "ingot: step "+number+" begins\n")
	a := actions[i]
	return inventory.Invalid("%sstep %d of %d (%s) failed with exit code %s; it said: %s", b.recipe.place(a.key), i+1, len(actions), a.name, code, lastLines(text, 10))
}
