package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"ingot/inventory"
)

// HostAdd is a host with its secret, which goes in and never comes out.
type HostAdd struct {
	inventory.Host
	// Secret is the password or private key that the host's URL needs; empty keeps the
	// one that is there.
	Secret string `json:"secret,omitempty"`
}

// HostRow is a host with the number of its machines.
type HostRow struct {
	inventory.Host
	Kind string `json:"kind"`
	VMs  int    `json:"vms"`
}

// Finding is one line of a host's check-up.
type Finding struct {
	What   string `json:"what"`
	Detail string `json:"detail,omitempty"`
	// Level is ok, warning or failed.
	Level string `json:"level"`
	Try   string `json:"try,omitempty"`
}

// HostTest asks for a host's self-test; with an image its machine is made from that.
type HostTest struct {
	Image string `json:"image,omitempty"`
}

// TestStep is one step of a self-test. One without What says that
// the test failed.
type TestStep struct {
	What   string  `json:"what,omitempty"`
	Detail string  `json:"detail,omitempty"`
	Secs   float64 `json:"seconds,omitempty"`
	Error  string  `json:"error,omitempty"`
}

// VMCreate asks for a virtual machine.
type VMCreate struct {
	Name     string           `json:"name"`
	Spec     inventory.VMSpec `json:"spec"`
	Image    string           `json:"image"`
	Hostname string           `json:"hostname,omitempty"`
	SSHKeys  []string         `json:"sshKeys,omitempty"`
	UserData string           `json:"userData,omitempty"`
}

// VMPlan is what making it would do.
type VMPlan struct {
	Name string `json:"name"`
	Host string `json:"host"`
	// Why that host; Clone is how the root disk would be made, and CloneWhy the reason
	// for a full copy.
	Why      string   `json:"why,omitempty"`
	Clone    string   `json:"clone"`
	CloneWhy string   `json:"cloneWhy,omitempty"`
	Steps    []string `json:"steps"`
	// Request is the driver's raw request.
	Request string `json:"request"`
}

// VMPower asks for a power state.
type VMPower struct {
	On    bool `json:"on"`
	Force bool `json:"force,omitempty"`
}

// VMState is what a virtual machine's host says of it now.
type VMState struct {
	// Power is on, off, paused or crashed.
	Power string `json:"power"`
}

// VMSnapshot is a kept state of a virtual machine.
type VMSnapshot struct {
	Name    string    `json:"name"`
	Created time.Time `json:"created,omitzero"`
	Current bool      `json:"current,omitempty"`
}

// VMResize is what a virtual machine is to be changed to; zero values stay. Disks grow, by
// number, the root disk being 0.
type VMResize struct {
	CPUs        int           `json:"cpus,omitempty"`
	MemoryBytes int64         `json:"memoryBytes,omitempty"`
	DiskBytes   map[int]int64 `json:"diskBytes,omitempty"`
}

// VMDifference is a field in which a machine is not as it is wanted.
type VMDifference struct {
	Machine string `json:"machine"`
	Field   string `json:"field"`
	Want    string `json:"want"`
	Have    string `json:"have"`
}

// ForeignVM is a machine at a host that belongs to nobody.
type ForeignVM struct {
	Host        string `json:"host"`
	UUID        string `json:"uuid"`
	Name        string `json:"name"`
	Power       string `json:"power"`
	CPUs        int    `json:"cpus"`
	MemoryBytes int64  `json:"memoryBytes"`
}

// VMAdopt takes a foreign machine, by UUID or name, into the inventory under a name.
type VMAdopt struct {
	Host  string `json:"host"`
	Which string `json:"which"`
	Name  string `json:"name"`
}

// Hosts lists the hosts.
func (c *Client) Hosts(ctx context.Context) (rows []HostRow, err error) {
	return rows, c.call(ctx, http.MethodGet, "/hosts", nil, &rows)
}

// PutHost adds or changes a host.
func (c *Client) PutHost(ctx context.Context, h HostAdd) error {
	return c.call(ctx, http.MethodPut, "/hosts/"+url.PathEscape(h.Name), h, nil)
}

// DeleteHost takes a host out of the inventory.
func (c *Client) DeleteHost(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, "/hosts/"+url.PathEscape(name), nil, nil)
}

// CheckHost has a host looked over.
func (c *Client) CheckHost(ctx context.Context, name string) (fs []Finding, err error) {
	return fs, c.call(ctx, http.MethodGet, "/hosts/"+url.PathEscape(name)+"/check", nil, &fs)
}

// TestHost makes and removes a small machine on a host; f is told each step.
func (c *Client) TestHost(ctx context.Context, name string, in HostTest, f func(TestStep)) error {
	return stream(ctx, c, http.MethodPost, "/hosts/"+url.PathEscape(name)+"/selftest", in, func(s TestStep) error {
		if s.What == "" {
			return errors.New(s.Error)
		}
		f(s)
		return nil
	})
}

// CreateVM orders a virtual machine.
func (c *Client) CreateVM(ctx context.Context, in VMCreate) (m inventory.Machine, err error) {
	return m, c.call(ctx, http.MethodPost, "/vms", in, &m)
}

// PlanVM tells what CreateVM would do.
func (c *Client) PlanVM(ctx context.Context, in VMCreate) (p VMPlan, err error) {
	return p, c.call(ctx, http.MethodPost, "/vms/plan", in, &p)
}

// RemoveVM orders a virtual machine away, from its host and from the inventory.
func (c *Client) RemoveVM(ctx context.Context, name string) (m inventory.Machine, err error) {
	return m, c.call(ctx, http.MethodDelete, "/vms/"+url.PathEscape(name), nil, &m)
}

// PowerVM brings a virtual machine to a power state.
func (c *Client) PowerVM(ctx context.Context, name string, p VMPower) error {
	return c.call(ctx, http.MethodPost, "/vms/"+url.PathEscape(name)+"/power", p, nil)
}

// StateOfVM asks a virtual machine's host.
func (c *Client) StateOfVM(ctx context.Context, name string) (s VMState, err error) {
	return s, c.call(ctx, http.MethodGet, vmPath(name, "/state"), nil, &s)
}

func vmPath(name, rest string) string { return "/vms/" + url.PathEscape(name) + rest }

// SnapshotsOfVM lists a machine's snapshots.
func (c *Client) SnapshotsOfVM(ctx context.Context, name string) (all []VMSnapshot, err error) {
	return all, c.call(ctx, http.MethodGet, vmPath(name, "/snapshots"), nil, &all)
}

// SnapshotVM keeps a machine's state under a name.
func (c *Client) SnapshotVM(ctx context.Context, name, snapshot string) error {
	return c.call(ctx, http.MethodPut, vmPath(name, "/snapshots/"+url.PathEscape(snapshot)), nil, nil)
}

// RevertVM goes back to a kept state; the machine is off then.
func (c *Client) RevertVM(ctx context.Context, name, snapshot string) error {
	return c.call(ctx, http.MethodPost, vmPath(name, "/snapshots/"+url.PathEscape(snapshot)+"/revert"), nil, nil)
}

// DeleteVMSnapshot forgets a kept state.
func (c *Client) DeleteVMSnapshot(ctx context.Context, name, snapshot string) error {
	return c.call(ctx, http.MethodDelete, vmPath(name, "/snapshots/"+url.PathEscape(snapshot)), nil, nil)
}

// ResizeVM changes CPUs, memory and disks.
func (c *Client) ResizeVM(ctx context.Context, name string, to VMResize) error {
	return c.call(ctx, http.MethodPost, vmPath(name, "/resize"), to, nil)
}

// DriftOfVM lists what differs from what is wanted.
func (c *Client) DriftOfVM(ctx context.Context, name string) (all []VMDifference, err error) {
	return all, c.call(ctx, http.MethodGet, vmPath(name, "/drift"), nil, &all)
}

// ForeignVMs lists machines at a host that belong to nobody.
func (c *Client) ForeignVMs(ctx context.Context, host string) (all []ForeignVM, err error) {
	return all, c.call(ctx, http.MethodGet, "/hosts/"+url.PathEscape(host)+"/foreign", nil, &all)
}

// AdoptVM takes a foreign machine into the inventory.
func (c *Client) AdoptVM(ctx context.Context, in VMAdopt) (m inventory.Machine, err error) {
	return m, c.call(ctx, http.MethodPost, "/vms/adopt", in, &m)
}
