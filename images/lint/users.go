package lint

import "strings"

// noPasswords looks for accounts that a password opens, or nothing: shadow(5).
func noPasswords(i *image) (Finding, error) {
	shadow, err := i.text(i.Root, "etc/shadow")
	if err != nil {
		return Finding{}, err
	}
	var open []string
	for line := range strings.Lines(shadow) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) < 2 || strings.HasPrefix(fields[1], "!") || strings.HasPrefix(fields[1], "*") {
			continue
		}
		open = append(open, fields[0])
	}
	if len(open) > 0 {
		return bad("%s: not locked", few(open)), nil
	}
	return ok("all accounts are locked"), nil
}

// homes are the home folders of those who log in.
func (i *image) homes() ([]string, error) {
	passwd, err := i.text(i.Root, "etc/passwd")
	if err != nil {
		return nil, err
	}
	homes := []string{"root"}
	for line := range strings.Lines(passwd) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) == 7 && strings.HasPrefix(fields[5], "/home/") {
			homes = append(homes, strings.TrimPrefix(fields[5], "/"))
		}
	}
	return homes, nil
}

// noneAtHome finds the files in the home folders that have one of the names.
func (i *image) noneAtHome(names ...string) (Finding, error) {
	homes, err := i.homes()
	if err != nil {
		return Finding{}, err
	}
	var found []string
	for _, home := range homes {
		for _, name := range names {
			text, err := i.text(i.Root, home+"/"+name)
			if err != nil {
				return Finding{}, err
			}
			if strings.TrimSpace(text) != "" {
				found = append(found, "/"+home+"/"+name)
			}
		}
	}
	if len(found) > 0 {
		return bad("%s", few(found)), nil
	}
	return ok("none"), nil
}

func noAuthorizedKeys(i *image) (Finding, error) {
	return i.noneAtHome(".ssh/authorized_keys", ".ssh/authorized_keys2", ".ssh/id_rsa", ".ssh/id_ed25519", ".ssh/id_ecdsa")
}

func noHistory(i *image) (Finding, error) {
	return i.noneAtHome(".bash_history", ".zsh_history", ".python_history", ".lesshst", ".viminfo")
}
