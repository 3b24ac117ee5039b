package winrmsim

import (
	"context"
	"io"
)

// Process is a command that was started in a shell.
type Process struct {
	Command string
	Args    []string
	// SkipCmd: without cmd.exe between (WINRS_SKIP_CMD_SHELL).
	SkipCmd bool
	// CodePage of the shell (WINRS_CODEPAGE).
	CodePage int
	// Stdin ends when the client said so, or when the process is stopped.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Handler is a process's work; what it returns is its exit code. It ends soon after its
// context does, which is when the command was stopped or the shell is gone.
type Handler func(ctx context.Context, p Process) (exit int)
