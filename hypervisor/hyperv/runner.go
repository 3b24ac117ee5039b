package hyperv

import (
	"context"

	"ingot/hypervisor"
	"ingot/hypervisor/hyperv/powershell"
)

// newRunner makes the way to the host that the address asks for.
func newRunner(c Config, t target) (powershell.Runner, error) {
	if t.ssh {
		return powershell.OverSSH(sshConfig(c, t))
	}
	w, err := winrmConfig(c, t)
	if err != nil {
		return nil, err
	}
	return powershell.OverWinRM(w)
}

func winrmConfig(c Config, t target) (powershell.WinRMConfig, error) {
	shown, err := t.login.certificate()
	return powershell.WinRMConfig{Host: t.host, User: t.user, Password: c.Password, Authentication: t.login.how, Certificate: shown, Thumbprint: c.Thumbprint, Log: c.Log}, err
}

func sshConfig(c Config, t target) powershell.SSHConfig {
	return powershell.SSHConfig{Host: t.name, Port: t.port, User: t.user, Log: c.Log}
}

// contact looks at the way to the host; nothing when it was given.
func contact(ctx context.Context, c Config, t target) []hypervisor.Finding {
	if c.Runner != nil {
		return nil
	}
	if t.ssh {
		return sshConfig(c, t).Contact(ctx)
	}
	w, err := winrmConfig(c, t)
	if err != nil {
		return []hypervisor.Finding{failed("login", err, "correct the files that the address names")}
	}
	return w.Contact(ctx)
}

// forgive lets a login be tried again that was refused before.
func (d *Driver) forgive() {
	if w, ok := d.runner.(interface{ Forgive() }); ok {
		w.Forgive()
	}
}
