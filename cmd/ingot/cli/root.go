package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
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
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	err = wrongCall(err)
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		fmt.Fprintln(a.err, "ingot: interrupted")
		return exitFailed
	}
	fmt.Fprintln(a.err, "ingot:", strings.TrimSpace(err.Error()))
	var u usageError
	if errors.As(err, &u) {
		usageHint(a.err, cmd)
		return exitUsage
	}
	hint(a.err, cmd, err)
	return exitFailed
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
	root.SetFlagErrorFunc(flagError)
	f := root.PersistentFlags()
	f.StringVar(&a.server, "server", "", "address of ingot serve (default: INGOT_SERVER or http://127.0.0.1:7470)")
	f.StringVar(&a.tokenFile, "token-file", "", "file with the API token (default: INGOT_TOKEN or /var/lib/ingot/admin.token)")
	f.StringVarP(&a.output, "output", "o", "table", "table, wide, json or yaml")
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "wide", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp)) // only fails for an unknown flag
	root.AddCommand(a.serve(), a.machine(), a.deploy(), a.events(), a.why(), a.image(), a.host(), a.vm(), a.network(), a.lease(), a.lab(), a.agent(), a.versionCmd())
	a.completeNames(root)
	addExamples(root)
	return root
}

// exactly wants n arguments; any other number is a usage error.
func exactly(n int) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			return usage("%s given, want %d", count(len(args), "argument"), n)
		}
		return nil
	}
}

func atLeast(n int) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < n {
			return usage("%s given, want %d or more", count(len(args), "argument"), n)
		}
		return nil
	}
}

func atMost(n int) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > n {
			return usage("%s given, want at most %d", count(len(args), "argument"), n)
		}
		return nil
	}
}

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
	cmd := &cobra.Command{Use: use, Short: short, SuggestionsMinimumDistance: 2, Args: func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usage("%q needs a command", cmd.CommandPath())
		}
		text := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
		if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
			text += fmt.Sprintf(" (did you mean %s?)", strings.Join(like, " or "))
		}
		return usage("%s", text)
	}, RunE: func(*cobra.Command, []string) error { return nil }}
	cmd.AddCommand(subs...)
	return cmd
}
