package hyperv

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"ingot/hypervisor"
)

// What a check-up advises.
const (
	tryModule = "install it (Install-WindowsFeature Hyper-V -IncludeManagementTools, or on Windows Enable-WindowsOptionalFeature -Online -FeatureName Microsoft-Hyper-V -All) and restart"
	tryRights = "put the user into the local groups Hyper-V Administrators and Remote Management Users, or Administrators"
	// trySqueezed is about file systems.
	trySqueezed = "name another storage, or turn it off for the folder (compact /u /s and cipher /d /s)"
)

const (
	// skewMax is how far clocks may be apart: certificates and logins are refused from
	// there on.
	skewMax = 5 * time.Minute
	// spaceMin is how much of the storage should be free.
	spaceMin = 10 << 30
	// buildMin is Windows Server 2016's: its Hyper-V module is 2.0.0.0, the first with
	// Secure Boot for Linux and a TPM.
	buildMin = 14393
)

// Diagnose looks at a host before there is a driver, in the order in which first contact
// fails: reach it, trust it, log in, run a script; and then what Check looks at. The error
// is for a context that ended.
func Diagnose(ctx context.Context, c Config) ([]hypervisor.Finding, error) {
	full, t, err := c.parse()
	if err != nil {
		return []hypervisor.Finding{failed("address", err, "correct the address")}, nil
	}
	found := contact(ctx, full, t)
	if len(found) > 0 && found[len(found)-1].Level == hypervisor.Failed {
		return found, ctx.Err()
	}
	d, host, err := open(ctx, full, t)
	if err != nil {
		return append(found, failed("host", err, "correct what the message names")), ctx.Err()
	}
	if c.Runner == nil {
		defer d.Close()
	}
	return append(found, d.findings(host)...), ctx.Err()
}

// Check implements hypervisor.Driver. A person asks for it, so a login that was refused is
// tried again.
func (d *Driver) Check(ctx context.Context) ([]hypervisor.Finding, error) {
	found := contact(ctx, d.config, d.target)
	if len(found) > 0 && found[len(found)-1].Level == hypervisor.Failed {
		return found, ctx.Err()
	}
	d.forgive()
	host, err := call(ctx, d, askHost, "look at host "+d.target.host, hostRequest{Storage: d.config.Storage})
	if err != nil {
		return append(found, failed("host", err, "correct what the message names")), ctx.Err()
	}
	return append(found, d.findings(host)...), ctx.Err()
}

// findings are what the host said, one by one.
func (d *Driver) findings(host hostAnswer) []hypervisor.Finding {
	found := []hypervisor.Finding{checkWindows(host), checkModule(host)}
	if host.Module == "" {
		return found
	}
	found = append(found, checkRights(host))
	if host.Fault != "" {
		return found
	}
	return append(found, checkHost(host), checkStorage(host), checkSwitch(host, d.config.Network), d.checkClock(host), checkTPM(host), checkOffer(d.config))
}

func fine(what, format string, args ...any) hypervisor.Finding {
	return hypervisor.Finding{What: what, Detail: fmt.Sprintf(format, args...), Level: hypervisor.OK}
}

func warning(what, try, format string, args ...any) hypervisor.Finding {
	return hypervisor.Finding{What: what, Detail: fmt.Sprintf(format, args...), Level: hypervisor.Warning, Try: try}
}

func failed(what string, err error, try string) hypervisor.Finding {
	return hypervisor.Finding{What: what, Detail: err.Error(), Level: hypervisor.Failed, Try: try}
}

func checkWindows(host hostAnswer) hypervisor.Finding {
	detail := fmt.Sprintf("%s, version %s, PowerShell %s", host.Windows, host.Version, host.PowerShell)
	parts := strings.Split(host.Version, ".")
	if build, err := strconv.Atoi(parts[len(parts)-1]); err != nil || build < buildMin {
		return hypervisor.Finding{What: "Windows", Detail: detail, Level: hypervisor.Failed, Try: "Windows Server 2016 or later: older ones have no Secure Boot for Linux and no TPM"}
	}
	if !strings.HasPrefix(host.PowerShell, "5.1") {
		return warning("Windows", "the scripts are for Windows PowerShell 5.1", "%s", detail)
	}
	return fine("Windows", "%s", detail)
}

func checkModule(host hostAnswer) hypervisor.Finding {
	if host.Module == "" {
		return hypervisor.Finding{What: "Hyper-V", Detail: "there is no Hyper-V module for PowerShell", Level: hypervisor.Failed, Try: tryModule}
	}
	if strings.HasPrefix(host.Module, "1.") {
		return hypervisor.Finding{What: "Hyper-V", Detail: "module " + host.Module, Level: hypervisor.Failed, Try: "module 2.0.0.0, which comes with Windows Server 2016"}
	}
	return fine("Hyper-V", "module %s", host.Module)
}

func checkRights(host hostAnswer) hypervisor.Finding {
	switch {
	case host.Fault != "":
		return hypervisor.Finding{What: "rights", Detail: fmt.Sprintf("%s may not look at Hyper-V (%s)", host.User, host.Fault), Level: hypervisor.Failed, Try: tryRights}
	case host.Administrator:
		return fine("rights", "%s is an administrator", host.User)
	case host.HypervAdministrator:
		return fine("rights", "%s is in Hyper-V Administrators", host.User)
	}
	return warning("rights", tryRights, "%s is neither an administrator nor in Hyper-V Administrators", host.User)
}

func checkHost(host hostAnswer) hypervisor.Finding {
	return fine("memory", "%s has %d CPUs and %d MiB of memory, %d MiB free", host.Name, host.Processors, host.MemoryBytes>>20, host.FreeMemoryBytes>>20)
}

func checkStorage(host hostAnswer) hypervisor.Finding {
	switch {
	case host.Existing == "":
		return hypervisor.Finding{What: "storage", Detail: fmt.Sprintf("nothing of %q is there", host.Storage), Level: hypervisor.Failed, Try: "name a folder on a drive that the host has"}
	case host.WriteFault != "":
		return hypervisor.Finding{What: "storage", Detail: fmt.Sprintf("%s can't write to %s (%s)", host.User, host.Existing, host.WriteFault), Level: hypervisor.Failed, Try: "give the user the right to modify it"}
	case host.CompressedOrEncrypted:
		return hypervisor.Finding{What: "storage", Detail: host.Existing + " is compressed or encrypted, and Hyper-V opens no disks there", Level: hypervisor.Failed, Try: trySqueezed}
	case host.FreeBytes < 0:
		return warning("storage", "look at the drive", "%s: how much is free is not told", host.Storage)
	case host.FreeBytes < spaceMin:
		return warning("storage", "make room", "%s: %d MiB free", host.Storage, host.FreeBytes>>20)
	}
	return fine("storage", "%s: %d GiB free", host.Storage, host.FreeBytes>>30)
}

func checkSwitch(host hostAnswer, configured string) hypervisor.Finding {
	name, err := chooseSwitch(host.Switches, "", configured)
	if err != nil {
		return failed("network", err, "name one of them with the host or with the machine")
	}
	return fine("network", "virtual switch %q", name)
}

func (d *Driver) checkClock(host hostAnswer) hypervisor.Finding {
	if skew := host.Now.Sub(d.config.Now()).Round(time.Second); skew.Abs() > skewMax {
		return warning("clock", "set up NTP on both", "the host's is %s off ours", skew)
	}
	return fine("clock", "no more than %s off", skewMax)
}

func checkTPM(host hostAnswer) hypervisor.Finding {
	if !host.Tpm {
		return warning("TPM", "machines are made without", "this host has no virtual TPM")
	}
	return fine("TPM", "machines with UEFI can have one")
}

func checkOffer(c Config) hypervisor.Finding {
	if c.Offer == nil {
		return warning("images", "images can't be brought there", "this computer offers the host nothing to fetch")
	}
	return fine("images", "the host fetches them from this computer when one is brought")
}
