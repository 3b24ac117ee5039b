package powershell_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ingot/hypervisor/hyperv/powershell"
	"ingot/hypervisor/hyperv/winrmsim"
)

const password = "correct horse"

// Scripts that the handler below knows.
var (
	echo   = powershell.Script{Name: "echo", Text: "return @{ got = $Request }\n"}
	fail   = powershell.Script{Name: "fail", Text: "throw 'no'\n"}
	died   = powershell.Script{Name: "died", Text: "[Environment]::Exit(3)\n"}
	forget = powershell.Script{Name: "forget", Text: "Start-Sleep 1000\n"}
)

// started is told of each script that hangs.
type started chan struct{}

func (s started) run(ctx context.Context, script string, request []byte) ([]byte, int) {
	switch script {
	case echo.Text:
		return winrmsim.Result(map[string]json.RawMessage{"got": request}), 0
	case fail.Text:
		return winrmsim.Failure(powershell.Error{ID: "NotFound,New-VM", Category: "ObjectNotFound", HResult: 0x80041002, Type: "T", Message: "no such ä", Target: "vm"}), 0
	case forget.Text:
		select {
		case s <- struct{}{}:
		case <-ctx.Done():
		}
		<-ctx.Done()
	}
	return nil, 3
}

// TestMain makes this program a powershell.exe for an sshd.
func TestMain(m *testing.M) {
	if os.Getenv("INGOT_FAKE_POWERSHELL") == "" {
		os.Exit(m.Run())
	}
	// Without its session it is gone, as by the job object of Windows's sshd; at the latest
	// after a while, where that ended before this.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	handler := winrmsim.PowerShell(make(started).run)
	exit := handler(ctx, winrmsim.Process{Command: powershell.Program, Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr})
	cancel()
	os.Exit(exit)
}

func serve(t *testing.T, o winrmsim.Options) (*winrmsim.Server, started) {
	t.Helper()
	hang := make(started)
	if o.Handler == nil {
		o.Handler = winrmsim.NoisyPowerShell(hang.run, "WARNING: noise\r\n", "more noise")
	}
	o.User, o.Password = "admin", password
	s := winrmsim.New(o)
	t.Cleanup(func() {
		s.Close()
	})
	return s, hang
}

func config(s *winrmsim.Server) powershell.WinRMConfig {
	return powershell.WinRMConfig{Host: s.Host(), User: "admin", Thumbprint: s.Thumbprint(), Password: func() ([]byte, error) { return []byte(password), nil }}
}

// over makes a runner, and checks at the end that it leaves no shell.
func over(t *testing.T, s *winrmsim.Server, c powershell.WinRMConfig) *powershell.WinRM {
	t.Helper()
	w, err := powershell.OverWinRM(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if n := s.Shells(); n != 0 && !t.Failed() {
			t.Errorf("%d shells are left over", n)
		}
	})
	return w
}

// echoes runs a script and checks its answer.
func echoes(ctx context.Context, r powershell.Runner, request string) error {
	answer, err := r.Run(ctx, echo, []byte(request))
	if err != nil {
		return err
	}
	var got struct{ Got json.RawMessage }
	if err := json.Unmarshal(answer, &got); err != nil || string(got.Got) != request {
		return fmt.Errorf("got %.100s, %w", answer, errors.Join(err, errors.New("want the request")))
	}
	return nil
}
