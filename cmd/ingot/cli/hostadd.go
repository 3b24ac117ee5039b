package cli

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"ingot/inventory"
	"ingot/inventory/api"
)

func (a *app) hostAdd() *cobra.Command {
	var in api.HostAdd
	var secretFile string
	cmd := &cobra.Command{Use: "add NAME URL", Short: "Add a host, or change what is given of one that is known", Long: hostURLs,
		Args: exactly(2), RunE: func(cmd *cobra.Command, args []string) error {
			in.Name, in.URL = args[0], args[1]
			if err := in.Check(); err != nil {
				return usageError{err}
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			known, err := knownHost(cmd.Context(), c, in.Host)
			if err != nil {
				return err
			}
			keep(&in.Host, known, cmd.Flags().Changed)
			sameURL := func() bool { return known != nil && known.URL == in.URL }
			if in.Secret, err = a.hostSecret(in.Host, secretFile, cmd.InOrStdin(), sameURL); err != nil {
				return err
			}
			if err := c.PutHost(cmd.Context(), in); err != nil {
				return err
			}
			return a.documentOr(in.Host, func() error {
				fmt.Fprintf(a.out, "%s: %s\nsee whether all is well there: ingot host check %s\n", in.Name, in.URL, in.Name)
				return nil
			})
		}}
	f := cmd.Flags()
	f.StringVar(&secretFile, "secret-file", "", "file with the password or private key, - for standard input (default: INGOT_HOST_SECRET, a prompt, or what a known host has)")
	f.StringVar(&in.Thumbprint, "thumbprint", "", "SHA-256 of the host's certificate, to be pinned")
	f.StringVar(&in.Storage, "storage", "", "pool, datastore or folder for disks (default: the driver's)")
	f.StringVar(&in.Network, "network", "", "network, bridge, port group or switch of new NICs (default: the driver's)")
	f.StringSliceVar(&in.Prefetch, "prefetch", nil, "images to bring ahead of the first VM, whenever they have a new version (like debian-12:stable)")
	f.BoolVar(&in.Closed, "closed", false, "take no new VMs but those asked onto it by name")
	return cmd
}

// hostSecret reads what logs in at a host: from a file, standard input, the environment,
// or a prompt on a terminal. Where SSH or TLS bring keys of their own there is none. A host
// that is known keeps the one it has.
func (a *app) hostSecret(h inventory.Host, file string, in io.Reader, known func() bool) (string, error) {
	var data []byte
	var err error
	stdin, _ := in.(*os.File)
	switch {
	case file == "-":
		data, err = io.ReadAll(in)
	case file != "":
		data, err = os.ReadFile(file)
	case os.Getenv("INGOT_HOST_SECRET") != "":
		return os.Getenv("INGOT_HOST_SECRET"), nil
	case ownKeys(h):
		return "", nil
	case stdin != nil && term.IsTerminal(int(stdin.Fd())):
		keep := map[bool]string{true: " (empty keeps the one it has)"}[known()]
		fmt.Fprintf(a.err, "password for %s%s: ", h.URL, keep)
		data, err = term.ReadPassword(int(stdin.Fd()))
		fmt.Fprintln(a.err)
	case known():
		return "", nil
	default:
		return "", usage("%s needs a password: give --secret-file FILE, --secret-file - or INGOT_HOST_SECRET", h.URL)
	}
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	return strings.TrimRight(string(data), "\r\n"), nil
}

// ownKeys tells of hosts that are logged in to without a secret of ours.
func ownKeys(h inventory.Host) bool {
	u, err := url.Parse(h.URL)
	return h.Kind() == inventory.HostLibvirt || err == nil && (u.Scheme == "ssh+hyperv" || u.Query().Get("auth") == "certificate")
}

// knownHost is the host as the server has it, nil when it does not.
func knownHost(ctx context.Context, c *api.Client, h inventory.Host) (*inventory.Host, error) {
	rows, err := c.Hosts(ctx)
	if i := slices.IndexFunc(rows, func(r api.HostRow) bool { return r.Name == h.Name }); err == nil && i >= 0 {
		return &rows[i].Host, nil
	}
	return nil, err
}

// keep leaves what no flag was given for as it is: a pinned certificate most of all.
func keep(h, known *inventory.Host, given func(flag string) bool) {
	if known == nil {
		return
	}
	for flag, field := range map[string][2]*string{"thumbprint": {&h.Thumbprint, &known.Thumbprint}, "storage": {&h.Storage, &known.Storage}, "network": {&h.Network, &known.Network}} {
		if !given(flag) {
			*field[0] = *field[1]
		}
	}
	if !given("prefetch") {
		h.Prefetch = known.Prefetch
	}
	if !given("closed") {
		h.Closed = known.Closed
	}
}

// hostURLs are the ways to hosts.
const hostURLs = `Add a host, or change what is given of one that is known. The URL says how it is reached:

  qemu:///system                        libvirt on this computer
  qemu+ssh://USER@HOST/system           libvirt, with the system's ssh
  qemu+tls://HOST/system                libvirt, with certificates
  vsphere://USER@VCENTER/DC/CLUSTER     vCenter; an ESXi host needs no path
  winrm+https://USER@HOST               Hyper-V, by WinRM
  ssh+hyperv://USER@HOST                Hyper-V, with the system's ssh

An @ in a user's name is %40. A flag that is not given leaves a known host as it is; give it
empty to go back to the default.`
