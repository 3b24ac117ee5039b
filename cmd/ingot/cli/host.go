package cli

import (
	"context"
	"errors"
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

func (a *app) host() *cobra.Command {
	named := a.completed(hostNames, a.hostShow(), a.hostCheck(), a.hostSelfTest(), a.hostRemove())
	return group("host", "Hypervisors that VMs run on", append(named, a.hostAdd(), a.hostList())...)
}

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

func (a *app) hostList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List hosts", Args: none(), RunE: func(cmd *cobra.Command, _ []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		rows, err := c.Hosts(cmd.Context())
		if err != nil {
			return err
		}
		type h = api.HostRow
		return list(a, rows, []column[h]{
			{"NAME", false, func(x h) string { return x.Name }},
			{"KIND", false, func(x h) string { return x.Kind }},
			{"URL", false, func(x h) string { return x.URL }},
			{"VMS", false, func(x h) string { return fmt.Sprint(x.VMs) }},
			{"OPEN", false, func(x h) string { return yesNo(!x.Closed) }},
			{"STORAGE", true, func(x h) string { return x.Storage }},
			{"NETWORK", true, func(x h) string { return x.Network }},
			{"THUMBPRINT", true, func(x h) string { return x.Thumbprint }},
		})
	}}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func (a *app) hostShow() *cobra.Command {
	return &cobra.Command{Use: "show NAME", Short: "Show a host", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		rows, err := c.Hosts(cmd.Context())
		if err != nil {
			return err
		}
		for _, h := range rows {
			if h.Name == args[0] {
				return a.documentOr(h, func() error {
					fmt.Fprintf(a.out, "name        %s (%s)\nurl         %s\nthumbprint  %s\nstorage     %s\nnetwork     %s\nopen        %s\nmachines    %d\n",
						h.Name, h.Kind, h.URL, dash(h.Thumbprint), dash(h.Storage), dash(h.Network), yesNo(!h.Closed), h.VMs)
					return nil
				})
			}
		}
		return inventory.NotFound("host", args[0])
	}}
}

func (a *app) hostCheck() *cobra.Command {
	return &cobra.Command{Use: "check NAME", Short: "Look a host over: what works, and what to do about what doesn't", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		found, err := c.CheckHost(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		failed := 0
		for _, f := range found {
			if f.Level == "failed" {
				failed++
			}
		}
		err = a.documentOr(found, func() error {
			showFindings(a.out, found)
			return nil
		})
		if err == nil && failed > 0 {
			err = fmt.Errorf("host %s: %d of %s failed", args[0], failed, count(len(found), "check"))
		}
		return err
	}}
}

// showFindings prints one line for each, and below it what to do.
func showFindings(w io.Writer, found []api.Finding) {
	width := 0
	for _, f := range found {
		width = max(width, len(f.What))
	}
	for _, f := range found {
		fmt.Fprintf(w, "%-8s %-*s  %s\n", f.Level, width, f.What, f.Detail)
		if f.Try != "" {
			fmt.Fprintf(w, "%-8s %-*s  → %s\n", "", width, "", f.Try)
		}
	}
}

func (a *app) hostRemove() *cobra.Command {
	return &cobra.Command{Use: "remove NAME...", Short: "Take hosts out of the inventory; nothing at them changes", Args: atLeast(1), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		var errs []error
		for _, name := range args {
			if err := c.DeleteHost(cmd.Context(), name); err != nil {
				errs = append(errs, err)
				continue
			}
			fmt.Fprintf(a.out, "%s: removed\n", name)
		}
		return errors.Join(errs...)
	}}
}
