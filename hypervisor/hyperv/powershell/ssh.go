package powershell

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"ingot/inventory"
)

// SSHConfig says how a computer is reached over SSH: through the system's ssh, so that the
// user's configuration, agent, known hosts and jump hosts are used. It never asks for a
// password: nobody is there.
type SSHConfig struct {
	// Host is a name, an address or a Host of ssh's configuration.
	Host string
	// Port and User; zero and empty leave them to ssh's configuration.
	Port int
	User string
	// configFile stands in for ssh's own configuration in tests.
	configFile string
	// Log may be nil.
	Log *slog.Logger `json:"-"`
}

// SSH is a Runner over SSH, with one ssh process for each script.
type SSH struct {
	config SSHConfig
	slots  chan struct{}
	ctx    context.Context // ends with Close
	cancel context.CancelCauseFunc
	once   sync.Once
}

var _ Runner = (*SSH)(nil)

// OverSSH makes a runner; nothing is started yet. Close it.
func OverSSH(c SSHConfig) (*SSH, error) {
	if c.Host == "" || strings.HasPrefix(c.Host, "-") || c.Port < 0 || c.Port > 65535 {
		return nil, inventory.Invalid("SSH host %q, port %d", c.Host, c.Port)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Log = c.Log.With("component", "ssh", "host", c.Host)
	s := &SSH{config: c, slots: make(chan struct{}, commandsMax)}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	return s, nil
}

// Run implements Runner.
func (s *SSH) Run(ctx context.Context, script Script, request []byte) ([]byte, error) {
	return run(ctx, s.config.Log, s.start, script, request)
}

// Close implements Runner: it ends what runs.
func (s *SSH) Close() error {
	s.once.Do(func() {
		s.cancel(errClosed)
		for range commandsMax {
			s.slots <- struct{}{} // whoever had one is gone
		}
	})
	return nil
}

// start is the way of SSH.
func (s *SSH) start(ctx context.Context, stdin []byte) (process, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.ctx, func() { cancel(errClosed) })()
	if ctx.Err() != nil {
		return process{}, notStarted{context.Cause(ctx)}
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return process{}, notStarted{context.Cause(ctx)}
	}
	return s.ssh(ctx, stdin)
}

// ssh runs one.
func (s *SSH) ssh(ctx context.Context, stdin []byte) (process, error) {
	out, said := &bounded{max: outputMax, strict: true}, &bounded{max: stderrMax}
	cmd := exec.CommandContext(ctx, "ssh", s.config.arguments()...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), out, said
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	p := process{stdout: out.b, stderr: said.b, exit: cmd.ProcessState.ExitCode()}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return p, context.Cause(ctx)
	case errors.Is(err, exec.ErrNotFound):
		return p, notStarted{fmt.Errorf("no ssh on this computer (Debian: openssh-client): %w", inventory.ErrUnsupported)}
	case err != nil && !errors.As(err, &exit):
		return p, fmt.Errorf("ssh %s: %w", s.config.Host, err)
	case p.exit == sshFailed:
		return p, s.config.failure(errorText(said.b))
	}
	return p, nil
}

// arguments are those of ssh. The far command has no character that a shell there, be it
// cmd.exe, PowerShell or POSIX, would read.
func (c SSHConfig) arguments() []string {
	args := []string{"-T", "-e", "none", "-o", "BatchMode=yes", "-o", "ServerAliveInterval=15", "-o", "ConnectTimeout=15"}
	if c.configFile != "" {
		args = append(args, "-F", c.configFile)
	}
	if c.Port != 0 {
		args = append(args, "-p", strconv.Itoa(c.Port))
	}
	if c.User != "" {
		args = append(args, "-l", c.User)
	}
	return append(args, "--", c.Host, Program+" "+strings.Join(Arguments(), " "))
}

// sshFailed is ssh's exit code for its own errors (ssh(1), EXIT STATUS).
const sshFailed = 255

// failure sorts what ssh says of its own errors; it says them in English only.
func (c SSHConfig) failure(said string) error {
	for _, f := range []struct {
		text, advice string
		class        error
	}{
		{"Host key verification failed", "its host key is unknown or changed; compare it, and connect once by hand: ssh " + c.Host, inventory.ErrDenied},
		{"Permission denied", "no key of ours is let in; for administrators Windows reads C:\\ProgramData\\ssh\\administrators_authorized_keys", inventory.ErrDenied},
		{"Too many authentication failures", "the agent has too many keys; name one in ssh's configuration (IdentityFile, IdentitiesOnly)", inventory.ErrDenied},
		{"Could not resolve hostname", "look at the name", inventory.ErrBusy},
		{"Connection refused", "is OpenSSH Server there? As administrator: Add-WindowsCapability -Online -Name OpenSSH.Server~~~~0.0.1.0; Start-Service sshd", inventory.ErrBusy},
		{"Connection timed out", "is the host on, and the port open in its firewall?", inventory.ErrBusy},
		{"No route to host", "look at the network", inventory.ErrBusy},
		{"Bad configuration option", "look at ssh's configuration", inventory.ErrInvalid},
	} {
		if !strings.Contains(said, f.text) {
			continue
		}
		err := fmt.Errorf("ssh %s: %s: %s", c.Host, quote(said), f.advice)
		if errors.Is(f.class, inventory.ErrBusy) {
			return notStarted{lost{err}}
		}
		return notStarted{fmt.Errorf("%w: %w", err, f.class)}
	}
	return lost{fmt.Errorf("ssh %s: %s", c.Host, quote(said))}
}

// bounded keeps the start of what is written to it; a strict one takes no more then.
type bounded struct {
	b      []byte
	max    int
	strict bool
}

// Write implements io.Writer.
func (w *bounded) Write(b []byte) (int, error) {
	if w.strict && len(w.b)+len(b) > w.max {
		return 0, errTooMuch
	}
	w.b = append(w.b, b[:min(len(b), w.max-len(w.b))]...)
	return len(b), nil
}
