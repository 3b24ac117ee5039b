package powershell_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"ingot/hypervisor"
	"ingot/hypervisor/hyperv/powershell"
	"ingot/hypervisor/hyperv/winrmsim"
	"ingot/inventory"
)

// What a caller may do after each failure: nothing that may have run is marked as not
// started, and the next call works.
func TestFailures(t *testing.T) {
	type failure struct {
		action string
		how    winrmsim.Mishap
	}
	cut, after := winrmsim.Mishap{CutBefore: true}, winrmsim.Mishap{CutAfter: true}
	for name, test := range map[string]struct {
		failure
		fails, notStarted bool
		class             error
		left              int // shells that a lost answer leaves
	}{
		"create cut":             {failure{"Create", cut}, false, false, nil, 0},
		"create's answer lost":   {failure{"Create", after}, false, false, nil, 1},
		"create cut twice":       {failure{"Create", cut}, true, true, inventory.ErrBusy, 0},
		"command cut twice":      {failure{"Command", cut}, true, true, inventory.ErrBusy, 0},
		"no shells left":         {failure{"Create", winrmsim.Mishap{Fault: &winrmsim.TooManyShells}}, true, true, inventory.ErrBusy, 0},
		"not allowed":            {failure{"Create", winrmsim.Mishap{Fault: &winrmsim.AccessDenied}}, true, true, inventory.ErrDenied, 0},
		"service stopped":        {failure{"Create", winrmsim.Mishap{Status: 503}}, true, true, inventory.ErrBusy, 0},
		"command cut":            {failure{"Command", cut}, false, false, nil, 0},
		"command's answer lost":  {failure{"Command", after}, false, false, nil, 0},
		"shell forgotten":        {failure{"Command", winrmsim.Mishap{Fault: &winrmsim.NotFound}}, false, false, nil, 1},
		"operations used up":     {failure{"Command", winrmsim.Mishap{Fault: &winrmsim.TooManyOperations}}, false, false, nil, 0},
		"processes used up":      {failure{"Command", winrmsim.Mishap{Fault: &winrmsim.TooManyProcesses}}, true, true, inventory.ErrBusy, 0},
		"input cut":              {failure{"Send", cut}, true, false, inventory.ErrBusy, 0},
		"input's answer lost":    {failure{"Send", after}, true, false, inventory.ErrBusy, 0},
		"input refused":          {failure{"Send", winrmsim.Mishap{Fault: &winrmsim.TooManyOperations}}, true, true, inventory.ErrBusy, 0},
		"input too large":        {failure{"Send", winrmsim.Mishap{Status: 413}}, true, true, inventory.ErrUnsupported, 0},
		"output timed out":       {failure{"Receive", winrmsim.Mishap{Fault: &winrmsim.TimedOut}}, false, false, nil, 0},
		"output cut":             {failure{"Receive", cut}, true, false, inventory.ErrBusy, 0},
		"output lost":            {failure{"Receive", after}, true, false, inventory.ErrBusy, 0},
		"shell gone under it":    {failure{"Receive", winrmsim.Mishap{Fault: &winrmsim.Aborted}}, true, false, inventory.ErrBusy, 0},
		"command not freed":      {failure{"Signal", cut}, false, false, nil, 0},
		"command freed unheard":  {failure{"Signal", after}, false, false, nil, 0},
		"everything of no sense": {failure{"Receive", winrmsim.Mishap{Status: 302}}, true, false, nil, 0},
		"input meets a bug":      {failure{"Send", winrmsim.Mishap{Status: 500}}, true, false, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := serve(t, winrmsim.Options{})
			w, err := powershell.OverWinRM(config(s))
			if err != nil {
				t.Fatal(err)
			}
			if test.action != "Create" {
				if err := echoes(t.Context(), w, `0`); err != nil {
					t.Fatal(err)
				}
			}
			s.Fail(test.action, 1, test.how)
			if test.how.Fault == &winrmsim.TimedOut || strings.HasSuffix(name, "twice") {
				s.Fail(test.action, 2, test.how)
			}
			err = echoes(t.Context(), w, `1`)
			if (err != nil) != test.fails || errors.Is(err, powershell.ErrNotStarted) != test.notStarted || test.class != nil && !errors.Is(err, test.class) {
				t.Errorf("got %v (not started: %v)", err, errors.Is(err, powershell.ErrNotStarted))
			}
			if err := echoes(t.Context(), w, `2`); err != nil {
				t.Errorf("next call: %v", err)
			}
			w.Close()
			if n := s.Shells(); n > test.left {
				t.Errorf("%d shells are left over", n)
			}
		})
	}
}

// Shells that end by themselves and connections that are dropped are made anew.
func TestForgotten(t *testing.T) {
	s, _ := serve(t, winrmsim.Options{})
	w := over(t, s, config(s))
	for range 3 {
		if err := echoes(t.Context(), w, `1`); err != nil {
			t.Fatal(err)
		}
		s.ForgetShells()
	}
	if n := s.Count("Create"); n != 3 {
		t.Errorf("%d shells were made, want 3", n)
	}
}

// Windows counts each command until its shell is deleted: more commands than the quota
// are run all the same.
func TestOperationsQuota(t *testing.T) {
	s, _ := serve(t, winrmsim.Options{MaxOperations: 3})
	w := over(t, s, config(s))
	for range 8 {
		if err := echoes(t.Context(), w, `1`); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Count("Create"); n != 3 {
		t.Errorf("%d shells were made, want 3", n)
	}
}

func TestShellsQuota(t *testing.T) {
	s, _ := serve(t, winrmsim.Options{MaxShells: 1})
	w := over(t, s, config(s))
	if err := echoes(t.Context(), w, `1`); err != nil {
		t.Fatal(err)
	}
	other := over(t, s, config(s))
	if err := echoes(t.Context(), other, `1`); !errors.Is(err, inventory.ErrBusy) || !errors.Is(err, powershell.ErrNotStarted) {
		t.Error(err)
	}
	w.Close()
	if err := echoes(t.Context(), other, `1`); err != nil {
		t.Errorf("after the first is closed: %v", err)
	}
}

// A call whose context ends while the shell is made leaves that to the next one.
func TestCancelWhileMaking(t *testing.T) {
	s, _ := serve(t, winrmsim.Options{})
	w := over(t, s, config(s))
	release := make(chan struct{})
	s.Fail("Create", 1, winrmsim.Mishap{Hold: release})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		if err := s.Await(t.Context(), "Create", 1); err != nil {
			t.Error(err)
		}
		cancel()
	}()
	if err := echoes(ctx, w, `1`); !errors.Is(err, context.Canceled) || !errors.Is(err, powershell.ErrNotStarted) {
		t.Error(err)
	}
	close(release)
	if err := echoes(t.Context(), w, `1`); err != nil {
		t.Error(err)
	}
	if n := s.Count("Create"); n != 1 {
		t.Errorf("%d shells were made, want 1", n)
	}
}

// A powershell.exe that does not take its input says why by its exit code.
func TestNotRun(t *testing.T) {
	for name, test := range map[string]struct {
		exit  int
		class error
		want  string
	}{
		"restricted language": {powershell.ExitLanguage, inventory.ErrUnsupported, "language mode is not FullLanguage"},
		"not found":           {9009, inventory.ErrUnsupported, "no powershell.exe"},
		"input not whole":     {powershell.ExitNotWhole, powershell.ErrNotStarted, "did not arrive whole"},
	} {
		s, _ := serve(t, winrmsim.Options{Handler: func(context.Context, winrmsim.Process) int { return test.exit }})
		_, err := over(t, s, config(s)).Run(t.Context(), echo, []byte(`{}`))
		if !errors.Is(err, test.class) || !errors.Is(err, powershell.ErrNotStarted) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
		found := config(s).Contact(t.Context())
		if last := found[len(found)-1]; test.class == inventory.ErrUnsupported && (len(found) != 4 || last.What != "PowerShell" || last.Level != hypervisor.Failed) {
			t.Errorf("%s: %+v", name, found)
		}
	}
}
