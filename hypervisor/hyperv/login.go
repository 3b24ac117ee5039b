package hyperv

import (
	"crypto/tls"
	"net/url"
	"path/filepath"

	"ingot/hypervisor/hyperv/powershell"
	"ingot/inventory"
)

// login is how a WinRM address wants to log in: its query is auth=ntlm, auth=basic or
// auth=certificate&cert=FILE&key=FILE, with PEM files of this computer.
type login struct {
	how       powershell.Authentication
	cert, key string
}

// parseLogin reads the query of a WinRM address; without one, NTLM logs in.
func parseLogin(query string) (login, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return login{}, inventory.Invalid("Hyper-V address: the part after ? can't be read (want auth=basic, or auth=certificate&cert=FILE&key=FILE)")
	}
	for name, all := range values {
		if name != "auth" && name != "cert" && name != "key" || len(all) > 1 {
			return login{}, inventory.Invalid("Hyper-V address: %q after ? is unknown or is there twice (want auth, cert, key)", name)
		}
	}
	l := login{powershell.Authentication(values.Get("auth")), values.Get("cert"), values.Get("key")}
	switch l.how {
	case "":
		l.how = powershell.NTLM
	case powershell.NTLM, powershell.Basic, powershell.Certificate:
	default:
		return login{}, inventory.Invalid("Hyper-V address: auth=%s (want %s, %s or %s)", l.how, powershell.NTLM, powershell.Basic, powershell.Certificate)
	}
	return l, l.check()
}

// check reports files that are missing or have no use.
func (l login) check() error {
	switch {
	case l.how != powershell.Certificate && l.cert+l.key != "":
		return inventory.Invalid("Hyper-V address: cert and key are for auth=%s", powershell.Certificate)
	case l.how != powershell.Certificate:
	case l.cert == "" || l.key == "":
		return inventory.Invalid("Hyper-V address: auth=%s wants cert=FILE and key=FILE", l.how)
	case !filepath.IsAbs(l.cert) || !filepath.IsAbs(l.key):
		return inventory.Invalid("Hyper-V address: cert=%s, key=%s (want full paths, of the computer that Ingot runs on)", l.cert, l.key)
	}
	return nil
}

// wantsPassword reports whether it logs in with a user and a password.
func (l login) wantsPassword() bool { return l.how != powershell.Certificate }

// certificate reads the files; nil where no certificate logs in. Its errors show nothing of
// what is in them.
func (l login) certificate() (*tls.Certificate, error) {
	if l.how != powershell.Certificate {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(l.cert, l.key)
	if err != nil {
		return nil, inventory.Invalid("Hyper-V client certificate %s with key %s: %v", l.cert, l.key, err)
	}
	return &pair, nil
}
