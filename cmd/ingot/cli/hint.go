package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ingot/inventory/api"
)

// usageHint says how a command is called.
func usageHint(w io.Writer, cmd *cobra.Command) {
	if cmd.HasParent() && !cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "usage: %s\n", cmd.UseLine())
		fmt.Fprintf(w, "run \"%s --help\" for what can be given\n", cmd.CommandPath())
		return
	}
	fmt.Fprintf(w, "run \"%s --help\" for the commands\n", cmd.CommandPath())
}

var (
	quoted   = regexp.MustCompile(`"([^"]+)"`)
	notFound = regexp.MustCompile(`\b(boot set|host|image|machine|network|rollout|schedule|VM) "[^"]*": not found`)
)

// listings name what there is of each kind.
var listings = map[string]string{
	"boot set": "ingot agent list", "host": "ingot host list", "image": "ingot image list", "machine": "ingot machine list", "network": "ingot network list",
	"rollout": "ingot image rollouts", "schedule": "ingot image schedule list", "VM": "ingot vm list",
}

// hint says what to do about errors that many commands can meet.
func hint(w io.Writer, cmd *cobra.Command, err error) {
	var answer *api.StatusError
	if errors.As(err, &answer) && answer.Status == http.StatusUnauthorized {
		fmt.Fprintln(w, "the token comes from INGOT_TOKEN or --token-file; the server keeps it in admin.token in its data directory")
	}
	// Long work tells its errors as text, so that the text is what there is to go by.
	if found := notFound.FindStringSubmatch(err.Error()); found != nil {
		listing := listings[found[1]]
		if data := cmd.Flag("data"); data != nil && data.Changed && found[1] == "boot set" {
			listing += " --data " + data.Value.String()
		}
		fmt.Fprintf(w, "run %q for those that there are\n", listing)
	}
}

// wants says what a flag of each type takes.
var wants = map[string]string{"duration": "a time like 20s, 15m or 1h30m", "int": "a whole number", "int64": "a whole number", "bool": "true or false"}

// flagError is a wrong flag in words of its own where pflag has those of Go's parsers.
func flagError(_ *cobra.Command, err error) error {
	var value *pflag.InvalidValueError
	if errors.As(err, &value) {
		if want := wants[value.GetFlag().Value.Type()]; want != "" {
			return usage("--%s %q (want %s)", value.GetFlag().Name, value.GetValue(), want)
		}
	}
	return usageError{err}
}

// wrongCall makes usage errors of those that cobra returns as others.
func wrongCall(err error) error {
	switch {
	case strings.HasPrefix(err.Error(), "required flag"):
		var names []string
		for _, name := range quoted.FindAllStringSubmatch(err.Error(), -1) {
			names = append(names, "--"+name[1])
		}
		return usage("%s must be given", strings.Join(names, " and "))
	case strings.HasPrefix(err.Error(), "unknown command"):
		return usageError{err}
	}
	return err
}
