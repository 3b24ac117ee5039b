package powershell

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"

	"ingot/hypervisor"
	"ingot/inventory"
)

// Probe is a script that does nothing; it says where it runs.
var Probe = Script{Name: "probe", Text: "[ordered]@{ computer = [System.Environment]::MachineName; version = [string]$PSVersionTable.PSVersion }\n"}

// Contact looks at the way to a computer in the order in which first contact fails, one
// finding for each step, and changes nothing. It ends at the first failure.
func (c WinRMConfig) Contact(ctx context.Context) []hypervisor.Finding {
	c, err := c.complete()
	if err != nil {
		return []hypervisor.Finding{failed("address", err, "correct it")}
	}
	found := []hypervisor.Finding{c.reach(ctx)}
	if found[0].Level == hypervisor.OK {
		found = append(found, c.handshake(ctx))
	}
	if found[len(found)-1].Level == hypervisor.Failed {
		return found
	}
	w, err := OverWinRM(c)
	if err != nil {
		return append(found, failed("address", err, "correct it"))
	}
	defer w.Close()
	return append(found, probe(ctx, w, "logged in with "+string(c.Authentication))...)
}

func (c WinRMConfig) reach(ctx context.Context) hypervisor.Finding {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", c.Host)
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return failed("address", err, "correct the name, or give an address")
	case err != nil:
		return failed("address", err, adviceEnable)
	}
	conn.Close()
	return hypervisor.Finding{What: "address", Detail: c.Host + " answers", Level: hypervisor.OK}
}

func (c WinRMConfig) handshake(ctx context.Context) hypervisor.Finding {
	conn, err := c.dial(ctx)
	switch {
	case errors.Is(err, errUntrusted):
		return failed("certificate", err, "if the host has that thumbprint, give it again: ingot host add NAME URL --thumbprint THUMBPRINT")
	case errors.Is(err, errThumbprint):
		return failed("certificate", err, "find out why it changed before you pin the new one")
	case err != nil:
		return failed("certificate", err, adviceEnable)
	}
	defer conn.Close()
	how := "is trusted"
	if c.Thumbprint != "" {
		how = "is the pinned one"
	}
	return hypervisor.Finding{What: "certificate", Detail: fmt.Sprintf("%s (%s)", how, thumbprint(conn.ConnectionState().PeerCertificates[0])), Level: hypervisor.OK}
}

// Contact is like WinRMConfig's; ssh reaches, verifies and logs in as one step.
func (c SSHConfig) Contact(ctx context.Context) []hypervisor.Finding {
	s, err := OverSSH(c)
	if err != nil {
		return []hypervisor.Finding{failed("address", err, "correct it")}
	}
	defer s.Close()
	return probe(ctx, s, "logged in with ssh")
}

// probe logs in and runs a script.
func probe(ctx context.Context, r Runner, loggedIn string) []hypervisor.Finding {
	answer, err := r.Run(ctx, Probe, []byte("{}"))
	login := hypervisor.Finding{What: "login", Detail: loggedIn, Level: hypervisor.OK}
	var script *Error
	switch {
	case errors.As(err, &script), errors.Is(err, inventory.ErrUnsupported), errors.Is(err, errNoAnswer):
		return []hypervisor.Finding{login, failed("PowerShell", err, "run powershell.exe by hand with this login")}
	case errors.Is(err, inventory.ErrDenied):
		return []hypervisor.Finding{failed("login", err, "correct user, password or key, or what the host allows")}
	case err != nil:
		return []hypervisor.Finding{failed("login", err, "log in by hand the same way")}
	}
	var is struct{ Computer, Version string }
	if err := json.Unmarshal(answer, &is); err != nil {
		return []hypervisor.Finding{login, failed("PowerShell", err, "run powershell.exe by hand with this login")}
	}
	return []hypervisor.Finding{login, {What: "PowerShell", Detail: "version " + is.Version + " on " + is.Computer, Level: hypervisor.OK}}
}

func failed(what string, err error, try string) hypervisor.Finding {
	return hypervisor.Finding{What: what, Detail: err.Error(), Level: hypervisor.Failed, Try: try}
}
