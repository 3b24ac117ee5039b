package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// leaveKey is Ctrl-], as in telnet and virsh.
const leaveKey = 0x1d

func (a *app) vmConsole() *cobra.Command {
	var force bool
	cmd := &cobra.Command{Use: "console NAME", Short: "Join a VM's serial port; Ctrl-] leaves", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		port, err := c.ConsoleOfVM(cmd.Context(), args[0], force)
		if err != nil {
			return err
		}
		defer port.Close()
		return a.join(cmd.Context(), args[0], port, os.Stdin)
	}}
	cmd.Flags().BoolVar(&force, "force", false, "take it from who has it")
	return cmd
}

// join connects a person, or a pipe, to a port until they leave or it ends. The end of a
// pipe is not the end: what the VM answers is shown until the command is interrupted.
func (a *app) join(ctx context.Context, name string, port io.ReadWriteCloser, in *os.File) error {
	ctx, leave := context.WithCancelCause(ctx)
	defer leave(nil)
	restore, err := a.raw(name, in)
	if err != nil {
		return err
	}
	defer restore()
	go func() { // ends with the process: a read of a terminal can't be called off
		if err := typed(port, in, term.IsTerminal(int(in.Fd()))); err != nil {
			leave(err)
		}
	}()
	go func() { // ends when port is closed
		if _, err := io.Copy(a.out, port); err != nil {
			leave(fmt.Errorf("the connection to the server broke: %w", err))
		}
		leave(errPortEnded)
	}()
	<-ctx.Done()
	return a.left(name, context.Cause(ctx))
}

var (
	// errPortEnded is seen by who reads and by who writes, in any order.
	errPortEnded = errors.New("the console ended")
	errLeft      = errors.New("left")
)

// left says how it ended.
func (a *app) left(name string, cause error) error {
	switch {
	case errors.Is(cause, errPortEnded):
		fmt.Fprintf(a.err, "\r\nthe console of %s ended (ingot vm show %s)\r\n", name, name)
		return nil
	case errors.Is(cause, errLeft):
		fmt.Fprintf(a.err, "\r\nleft the console of %s; it goes on\r\n", name)
		return nil
	}
	return cause
}

// raw makes a terminal pass each key on; what it was before comes back with restore.
func (a *app) raw(name string, in *os.File) (restore func(), err error) {
	if !term.IsTerminal(int(in.Fd())) {
		return func() {}, nil
	}
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	fmt.Fprintf(a.err, "console of %s: Ctrl-] leaves, Enter wakes it up\r\n", name)
	return func() { _ = term.Restore(int(in.Fd()), before) }, nil // the terminal is gone: nothing to restore
}

// typed copies what a person types to the port, until they leave, or a pipe until its end.
func typed(port io.Writer, in io.Reader, person bool) error {
	for b := make([]byte, 4096); ; {
		n, err := in.Read(b)
		text, _, left := bytes.Cut(b[:n], []byte{leaveKey})
		if !person {
			text, left = b[:n], false
		}
		if len(text) > 0 {
			if _, err := port.Write(text); err != nil {
				return errPortEnded
			}
		}
		switch {
		case left || person && err == io.EOF:
			return errLeft
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("read terminal: %w", err)
		}
	}
}
