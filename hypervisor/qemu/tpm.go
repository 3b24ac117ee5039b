package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const (
	tpmSocketName = "tpm.sock"
	tpmStateName  = "tpm"
	tpmLogName    = "tpm.log"
)

// startTPM starts the emulator of the machine's TPM, or returns nil when it has
// none. swtpm ends by itself when QEMU lets go of it.
func (c Config) startTPM(ctx context.Context) (*Process, error) {
	if !c.TPM {
		return nil, nil
	}
	bin, err := program("swtpm", "swtpm")
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(c.Dir, tpmStateName), 0o700); err != nil {
		return nil, err
	}
	socket, err := listenUnix(filepath.Join(c.Dir, tpmSocketName))
	if err != nil {
		return nil, err
	}
	defer socket.Close()
	log, err := os.OpenFile(filepath.Join(c.Dir, tpmLogName), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(bin, "socket", "--tpm2", "--tpmstate", "dir="+tpmStateName,
		"--ctrl", "type=unixio,fd=3", "--terminate", "--flags", "startup-clear")
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = c.Dir, log, log, []*os.File{socket}
	p, err := run(ctx, cmd, c.Detach)
	if err != nil {
		return nil, fmt.Errorf("start TPM: %w", err)
	}
	id, err := identify("swtpm", p.id.PID)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start TPM: %w", err), cmd.Process.Kill())
	}
	p.id = id
	return p, nil
}
