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
	return powershell.OverWinRM(winrmConfig(c, t))
}

func winrmConfig(c Config, t target) powershell.WinRMConfig {
	return powershell.WinRMConfig{Host: t.host, User: t.user, Password: c.Password, Thumbprint: c.Thumbprint, Log: c.Log}
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
	return winrmConfig(c, t).Contact(ctx)
}
