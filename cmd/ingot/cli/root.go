package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"ingot/inventory/api"
)

// Version is set by the linker.
var Version = "dev"

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// usageError is a wrong call: it exits with 2.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// app is what the verbs share.
type app struct {
	out, err  io.Writer
	server    string
	tokenFile string
	output    string
}

// Main runs the command line and returns the exit code.
func Main(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{out: os.Stdout, err: os.Stderr}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(a.out)
	root.SetErr(a.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		fmt.Fprintln(a.err, "ingot: interrupted")
		return exitFailed
	}
	fmt.Fprintln(a.err, "ingot:", strings.TrimSpace(err.Error()))
	var u usageError
	if errors.As(err, &u) || strings.HasPrefix(err.Error(), "unknown command") || strings.HasPrefix(err.Error(), "required flag") {
		fmt.Fprintln(a.err, `run "ingot --help" for the commands`)
		return exitUsage
	}
	hint(a.err, err)
	return exitFailed
}

// hint says what to do about errors that many commands can meet.
func hint(w io.Writer, err error) {
	var answer *api.StatusError
	if errors.As(err, &answer) && answer.Status == http.StatusUnauthorized {
		fmt.Fprintln(w, "the token comes from INGOT_TOKEN or --token-file; the server keeps it in admin.token in its data directory")
	}
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "ingot",
		Short: "From power button to running system: images, machines, networks",
		Long: `Ingot boots machines over the network, writes golden images onto them, and keeps one
inventory of them. "ingot serve" is the server; the other commands talk to it.`,
		SilenceUsage: true, SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) error { return checkOutput(a.output) },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	f := root.PersistentFlags()
	f.StringVar(&a.server, "server", "", "address of ingot serve (default: INGOT_SERVER or http://127.0.0.1:7470)")
	f.StringVar(&a.tokenFile, "token-file", "", "file with the API token (default: INGOT_TOKEN or /var/lib/ingot/admin.token)")
	f.StringVarP(&a.output, "output", "o", "table", "table, wide, json or yaml")
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "wide", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp)) // only fails for an unknown flag
	root.AddCommand(a.serve(), a.machine(), a.deploy(), a.events(), a.why(), a.image(), a.host(), a.vm(), a.network(), a.lease(), a.lab(), a.agent(), a.versionCmd())
	return root
}

// exactly wraps cobra's argument checks as usage errors.
func exactly(n int) cobra.PositionalArgs { return argsAs(cobra.ExactArgs(n)) }

func atLeast(n int) cobra.PositionalArgs { return argsAs(cobra.MinimumNArgs(n)) }

func none() cobra.PositionalArgs { return argsAs(cobra.NoArgs) }

func argsAs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}

// group is a command that only holds others.
func group(use, short string, subs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usage("unknown command %q for \"ingot %s\"", args[0], use)
		}
		return usage("\"ingot %s\" needs a command", use)
	}, RunE: func(*cobra.Command, []string) error { return nil }}
	cmd.AddCommand(subs...)
	return cmd
}
