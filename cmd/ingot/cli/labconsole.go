package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// escapeKey ends a console session: Ctrl-], as telnet has it.
const escapeKey = 0x1d

func (a *app) labConsole(dir *string) *cobra.Command {
	return &cobra.Command{Use: "console MACHINE", Short: "Attach to a machine's serial console (leave with Ctrl-])", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			rack, err := openLab(*dir)
			if err != nil {
				return err
			}
			conn, err := rack.Console(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			defer conn.Close()
			return a.attach(cmd.Context(), conn)
		}}
}

// attach joins terminal and console until the escape key, the end of input, or ctx.
func (a *app) attach(ctx context.Context, conn io.ReadWriteCloser) error {
	if fd := int(os.Stdin.Fd()); term.IsTerminal(fd) {
		old, err := term.MakeRaw(fd)
		if err != nil {
			return fmt.Errorf("set terminal: %w", err)
		}
		defer func() { _ = term.Restore(fd, old) }()
		fmt.Fprint(a.err, "attached; leave with Ctrl-]\r\n")
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends both copies
	defer stop()
	done := make(chan error, 2)
	go func() { _, err := io.Copy(a.out, conn); done <- err }()
	go func() { done <- copyUntilEscape(conn, os.Stdin) }()
	err := <-done
	if errors.Is(err, io.EOF) || ctx.Err() != nil {
		return nil
	}
	return err
}

func copyUntilEscape(w io.Writer, r io.Reader) error {
	buf := make([]byte, 256)
	for {
		n, err := r.Read(buf)
		for i := range n {
			if buf[i] == escapeKey {
				return nil
			}
			if _, err := w.Write(buf[i : i+1]); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}
