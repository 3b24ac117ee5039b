package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/rogpeppe/go-internal/testscript"

	"ingot/hypervisor/hyperv/powershell"
	"ingot/hypervisor/hyperv/sim"
	"ingot/hypervisor/hyperv/winrmsim"
)

// winhostUser and winhostPassword log in at the scripts' Windows hosts.
const (
	winhostUser     = "ingot"
	winhostPassword = "hunter2 & co"
)

// winhosts are those of one script, by name.
type winhosts map[string]*winhost

// winhost is a simulated Hyper-V host behind a simulated WinRM service and a relay, so that
// it can go away and come back under its address.
type winhost struct {
	*sim.Host
	relay *relay
	// constrained: PowerShell's language mode is not FullLanguage.
	constrained atomic.Bool
	// under are the scripts that run.
	under   atomic.Int64
	arrived <-chan struct{}
	release func()
}

// winhostCommand: winhost VERB NAME [ARGUMENT...].
//
//	start NAME          starts one; sets NAME_URL, NAME_THUMBPRINT and NAME_PASSWORD
//	down, up NAME       nobody answers at its address; it is back
//	pause NAME N        the N-th change at it from now on stands still until release
//	paused, quiet NAME  waits until one stands still; until no script runs
//	release NAME        lets go on what stands still
//	fail NAME N         the N-th change at it from now on fails
//	wall NAME on|off    it can't connect to anybody, as if a firewall kept it from that
//	deny, allow NAME    takes the login's rights at Hyper-V away; gives them back
//	constrain, uninstall NAME   scripts may not run; there is no Hyper-V module
//	switches NAME SWITCH...     changes its virtual switches
//	foreign NAME VM     makes a machine that is nobody's
//	phonehome NAME VM   posts to the address that is in the VM's seed, as cloud-init does
//	address NAME VM IP  has the VM's integration services tell an address
//	cpus NAME VM N      changes the VM behind Ingot's back
//	ran NAME SCRIPT N   fails unless the script ran N times
//	left NAME           prints what is there
func winhostCommand(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: winhost VERB NAME [ARGUMENT...]")
	}
	verb, name, rest := args[0], args[1], args[2:]
	all := ts.Value(winhostsKey{}).(winhosts)
	if verb == "start" {
		all[name] = startWinhost(ts, name)
		return
	}
	w := all[name]
	if w == nil {
		ts.Fatalf("there is no Windows host %q", name)
	}
	do, ok := winhostVerbs[verb]
	if !ok {
		ts.Fatalf("winhost %q: no such verb", verb)
	}
	do(ts, w, rest)
}

type winhostsKey struct{}

var winhostVerbs = map[string]func(*testscript.TestScript, *winhost, []string){
	"down": func(_ *testscript.TestScript, w *winhost, _ []string) { w.relay.close() },
	"up":   func(ts *testscript.TestScript, w *winhost, _ []string) { ts.Check(w.relay.open()) },
	"pause": func(ts *testscript.TestScript, w *winhost, args []string) {
		w.arrived, w.release = w.Pause(number(ts, args[0]))
	},
	"paused": func(ts *testscript.TestScript, w *winhost, _ []string) {
		if !until(func() bool {
			select {
			case <-w.arrived:
				return true
			default:
				return false
			}
		}) {
			ts.Fatalf("nothing stands still")
		}
	},
	"release": func(_ *testscript.TestScript, w *winhost, _ []string) { w.release() },
	"quiet": func(ts *testscript.TestScript, w *winhost, _ []string) {
		if !until(func() bool { return w.under.Load() == 0 }) {
			ts.Fatalf("%d scripts run", w.under.Load())
		}
	},
	"fail":      func(ts *testscript.TestScript, w *winhost, args []string) { w.Fail(number(ts, args[0]), sim.Before) },
	"wall":      func(_ *testscript.TestScript, w *winhost, args []string) { w.Wall(args[0] == "on") },
	"deny":      func(_ *testscript.TestScript, w *winhost, _ []string) { w.Deny(true) },
	"allow":     func(_ *testscript.TestScript, w *winhost, _ []string) { w.Deny(false) },
	"constrain": func(_ *testscript.TestScript, w *winhost, _ []string) { w.constrained.Store(true) },
	"uninstall": func(_ *testscript.TestScript, w *winhost, _ []string) { w.Uninstall() },
	"switches":  func(_ *testscript.TestScript, w *winhost, args []string) { w.SetSwitches(args...) },
	"foreign":   func(_ *testscript.TestScript, w *winhost, args []string) { w.AddMachine(args[0], "call Ann", 2) },
	"phonehome": func(ts *testscript.TestScript, w *winhost, args []string) { w.phoneHome(ts, args[0]) },
	"address": func(ts *testscript.TestScript, w *winhost, args []string) {
		w.Guest(w.machine(ts, args[0]), true, false, args[1:]...)
	},
	"cpus": func(ts *testscript.TestScript, w *winhost, args []string) {
		w.SetCPUs(w.machine(ts, args[0]), number(ts, args[1]))
	},
	"ran": func(ts *testscript.TestScript, w *winhost, args []string) {
		if n := len(w.calls(args[0])); n != number(ts, args[1]) {
			ts.Fatalf("script %s ran %d times, want %s", args[0], n, args[1])
		}
	},
	"left": func(ts *testscript.TestScript, w *winhost, _ []string) {
		_, err := fmt.Fprintln(ts.Stdout(), strings.Join(w.Left(), "\n"))
		ts.Check(err)
	},
}

func number(ts *testscript.TestScript, text string) int {
	n, err := strconv.Atoi(text)
	ts.Check(err)
	return n
}

func startWinhost(ts *testscript.TestScript, name string) *winhost {
	w := &winhost{Host: sim.New(sim.Options{}), release: func() {}}
	s := winrmsim.New(winrmsim.Options{Handler: w.powerShell(), User: winhostUser, Password: winhostPassword})
	ts.Defer(s.Close)
	w.relay = &relay{to: s.Host()}
	ts.Check(w.relay.open())
	ts.Defer(w.relay.close)
	ts.Defer(func() { w.release() })
	ts.Setenv(name+"_URL", `winrm+https://HV1%5C`+winhostUser+"@"+w.relay.addr)
	ts.Setenv(name+"_THUMBPRINT", colons(s.Thumbprint()))
	ts.Setenv(name+"_PASSWORD", winhostPassword)
	return w
}

// colons is a thumbprint as people write it.
func colons(hex string) string {
	var pairs []string
	for pair := range slices.Chunk([]byte(hex), 2) {
		pairs = append(pairs, string(pair))
	}
	return strings.Join(pairs, ":")
}

// powerShell runs the scripts, unless the language mode forbids it.
func (w *winhost) powerShell() winrmsim.Handler {
	run := winrmsim.PowerShell(w.Scripts)
	return func(ctx context.Context, p winrmsim.Process) int {
		w.under.Add(1)
		defer w.under.Add(-1)
		if w.constrained.Load() {
			return powershell.ExitLanguage
		}
		return run(ctx, p)
	}
}

// machine is the GUID of the only machine of a name.
func (w *winhost) machine(ts *testscript.TestScript, name string) string {
	var found []string
	for _, line := range w.Left() {
		if id, ok := strings.CutPrefix(line, "machine "+name+" "); ok && !strings.Contains(id, " ") {
			found = append(found, id)
		}
	}
	if len(found) != 1 {
		ts.Fatalf("%d machines are named %s, want one", len(found), name)
	}
	return found[0]
}

// calls are the requests of a script that ran.
func (w *winhost) calls(script string) (requests []string) {
	for _, c := range w.Calls() {
		if c.Script == script {
			requests = append(requests, c.Request)
		}
	}
	return requests
}
