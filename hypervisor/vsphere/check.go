package vsphere

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"ingot/hypervisor"
)

const (
	// skewMax is how far clocks may be apart: certificates and single sign-on tokens are
	// refused from there on.
	skewMax = 5 * time.Minute
	// spaceMin is how much of a datastore should be free.
	spaceMin = 10 << 30
	dialTime = 10 * time.Second
	// versionMin is vSphere 6.7, the first with hardware version 14.
	versionMin = "6.7"
)

// Check implements hypervisor.Driver. Of a server that is not reached no more is asked.
func (d *Driver) Check(ctx context.Context) ([]hypervisor.Finding, error) {
	d.session.refused.Store(nil) // a person looks, and may have unlocked the account
	found := contact(ctx, d.config, d.target)
	if found[len(found)-1].Level == hypervisor.Failed {
		return found, ctx.Err()
	}
	return append(found, d.findings(ctx)...), ctx.Err()
}

// findings are what is seen behind a login.
func (d *Driver) findings(ctx context.Context) []hypervisor.Finding {
	found := []hypervisor.Finding{d.checkLogin(ctx)}
	if found[0].Level == hypervisor.Failed {
		return found
	}
	for _, look := range []func(context.Context) hypervisor.Finding{d.checkVersion, d.checkClock, d.checkPlace,
		d.checkQuota, d.checkDatastore, d.checkNetwork, d.checkPrivileges, d.checkTPM} {
		if ctx.Err() != nil {
			break
		}
		found = append(found, look(ctx))
	}
	return found
}

func fine(what, format string, args ...any) hypervisor.Finding {
	return hypervisor.Finding{What: what, Detail: fmt.Sprintf(format, args...), Level: hypervisor.OK}
}

func failed(what string, err error, try string) hypervisor.Finding {
	return hypervisor.Finding{What: what, Detail: err.Error(), Level: hypervisor.Failed, Try: try}
}

func (d *Driver) checkLogin(ctx context.Context) hypervisor.Finding {
	if _, err := methods.GetCurrentTime(ctx, d.client); err != nil {
		return failed("login", translate("log in as "+d.target.user, err), "check user and password")
	}
	return fine("login", "as %s", d.target.user)
}

func (d *Driver) checkVersion(context.Context) hypervisor.Finding {
	about := d.client.ServiceContent.About
	if olderThan(about.ApiVersion, versionMin) {
		return hypervisor.Finding{What: "version", Level: hypervisor.Warning, Detail: fmt.Sprintf("%s, API %s", about.FullName, about.ApiVersion),
			Try: "vSphere " + versionMin + " or later: older ones lack hardware version 14 and a TPM"}
	}
	return fine("version", "%s, API %s", about.FullName, about.ApiVersion)
}

// olderThan compares versions of the form "6.7.3".
func olderThan(version, than string) bool {
	var a, b [2]int
	fmt.Sscanf(version, "%d.%d", &a[0], &a[1])
	fmt.Sscanf(than, "%d.%d", &b[0], &b[1])
	return a[0] < b[0] || a[0] == b[0] && a[1] < b[1]
}

func (d *Driver) checkClock(ctx context.Context) hypervisor.Finding {
	now, err := methods.GetCurrentTime(ctx, d.client)
	if err != nil {
		return failed("clock", translate("read the server's clock", err), "look at the login")
	}
	if skew := now.Sub(d.config.Now()).Round(time.Second); skew.Abs() > skewMax {
		return hypervisor.Finding{What: "clock", Level: hypervisor.Warning, Detail: fmt.Sprintf("the server's is %s off ours", skew), Try: "set up NTP on both"}
	}
	return fine("clock", "no more than %s off", skewMax)
}

func (d *Driver) checkPlace(context.Context) hypervisor.Finding {
	p := d.place
	return fine("place", "datacenter %s, %s, %d CPUs, %d MiB of memory (%d free)", unescape(p.datacenter.Name), unescape(p.compute.Name),
		d.can.CPUs, d.can.MemoryBytes>>20, d.can.FreeMemoryBytes>>20)
}

func (d *Driver) checkDatastore(ctx context.Context) hypervisor.Finding {
	var ds mo.Datastore
	if err := d.object(ctx, d.place.datastore.Self, []string{"name", "summary"}, &ds); err != nil {
		return failed("datastore", translate("read datastore", err), "look whether it is still there")
	}
	detail := fmt.Sprintf("%s (%s): %d of %d GiB free", ds.Name, ds.Summary.Type, ds.Summary.FreeSpace>>30, ds.Summary.Capacity>>30)
	switch {
	case !ds.Summary.Accessible:
		return failed("datastore", fmt.Errorf("%s can't be reached by its hosts", ds.Name), "look at the storage")
	case slices.Contains(objectStores, ds.Summary.Type):
		return hypervisor.Finding{What: "datastore", Detail: detail, Level: hypervisor.Warning, Try: "machines with a seed need a VMFS or NFS datastore"}
	case ds.Summary.FreeSpace < spaceMin:
		return hypervisor.Finding{What: "datastore", Detail: detail, Level: hypervisor.Warning, Try: "make room, or name another datastore"}
	}
	return fine("datastore", "%s", detail)
}

func (d *Driver) checkNetwork(ctx context.Context) hypervisor.Finding {
	all, err := d.networks(ctx)
	if err != nil {
		return failed("network", err, "look at the login's rights")
	}
	var names []string
	for _, n := range all {
		names = append(names, unescape(n.Name))
	}
	if len(names) == 0 {
		return failed("network", errors.New("there is none to attach machines to"), "make a port group, or grant Network.Assign")
	}
	return fine("network", "%s", strings.Join(names, ", "))
}

func (d *Driver) checkTPM(context.Context) hypervisor.Finding {
	if !d.can.TPM {
		return hypervisor.Finding{What: "TPM", Level: hypervisor.Warning, Detail: "there is no key provider", Try: "for machines with a TPM, add a native key provider in vCenter (7.0 U2 and later)"}
	}
	return fine("TPM", "there is a key provider")
}

// hasKeyProvider tells whether machines can be encrypted, which a virtual TPM needs.
func (d *Driver) hasKeyProvider(ctx context.Context) bool {
	if d.client.ServiceContent.CryptoManager == nil || !d.client.IsVC() {
		return false
	}
	res, err := methods.ListKmipServers(ctx, d.client, &types.ListKmipServers{This: *d.client.ServiceContent.CryptoManager})
	return err == nil && len(res.Returnval) > 0
}
