package sim

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"ingot/hypervisor/hyperv/powershell"
	"ingot/hypervisor/hyperv/winrmsim"
)

var _ powershell.Runner = (*Host)(nil)

// object is what a script returns.
type object = map[string]any

// run is a script under way. After the first error nothing more is done.
type run struct {
	h      *Host
	ctx    context.Context
	script powershell.Script
	err    error
	// lost: it runs to its end and the answer is lost.
	lost bool
	// locks are the files that it holds open.
	locks []string
	// stranded is closed when its caller is gone; stop is where that was.
	stranded chan struct{}
	stop     *stop
}

// bodies of the scripts, by name.
var bodies = map[string]func(r *run, request []byte) object{
	"host": body(runHost), "place": body(runPlace), "list": body(runList), "watch": body(runWatch), "pull": body(runPull), "finishimage": body(runFinishImage),
	"removeimage": body(runRemoveImage), "create": body(runCreate), "delete": body(runDelete), "power": body(runPower), "checkpoints": body(runCheckpoints),
	"checkpoint": body(runCheckpoint), "restore": body(runRestore), "removecheckpoint": body(runRemoveCheckpoint), "growdisk": body(runGrowDisk),
	"setsize": body(runSetSize), "setnotes": body(runSetNotes),
}

// body reads a request strictly.
func body[Q any](f func(*run, Q) object) func(*run, []byte) object {
	return func(r *run, request []byte) object {
		var q Q
		if err := decode(request, &q); err != nil {
			r.err = fmt.Errorf("the request %s: %w", request, err)
			return nil
		}
		return f(r, q)
	}
}

// ErrCut is a connection that broke. It has none of the inventory's classes: that is for
// what makes the connection.
var ErrCut = errors.New("the connection broke")

// Run implements powershell.Runner.
func (h *Host) Run(ctx context.Context, s powershell.Script, request []byte) ([]byte, error) {
	name, known := h.scripts[sha256.Sum256([]byte(s.Text))]
	if !known {
		return nil, fmt.Errorf("script %s is not one that the model knows", s.Name)
	}
	if err := h.faults.enter(ctx, name); err != nil {
		return nil, err
	}
	h.look(name, request)
	r := &run{h: h, ctx: ctx, script: powershell.Script{Name: name, Text: s.Text}, stranded: make(chan struct{})}
	done := make(chan object, 1)
	go func() {
		defer r.end()
		done <- bodies[name](r, request)
	}()
	select {
	case result := <-done:
		return r.told(ctx, result)
	case <-r.stranded:
		return nil, ErrCut
	}
}

// told is what the caller hears of a script that ended.
func (r *run) told(ctx context.Context, result object) ([]byte, error) {
	switch fault := (*powershell.Error)(nil); {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.As(r.err, &fault):
		fault.Script = r.script.Name
		return nil, fault
	case r.err != nil:
		return nil, r.err
	case r.lost:
		return nil, ErrCut
	}
	return json.Marshal(result)
}

// Close implements powershell.Runner; a host can be reached again.
func (h *Host) Close() error { return nil }

// Scripts does the work of a powershell.exe, for winrmsim.
func (h *Host) Scripts(ctx context.Context, script string, request []byte) (answer []byte, exit int) {
	if script == powershell.Probe.Text {
		return winrmsim.Result(object{"computer": "HV1", "version": "5.1.20348.1"}), 0
	}
	told, err := h.Run(ctx, powershell.Script{Text: script}, request)
	var fault *powershell.Error
	switch {
	case errors.As(err, &fault):
		return winrmsim.Failure(*fault), 0
	case err != nil:
		return nil, 1
	}
	return winrmsim.Result(json.RawMessage(told)), 0
}

// look notes a call and lets what is under way go on.
func (h *Host) look(script string, request []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, Call{script, string(request)})
	close(h.ran)
	h.ran = make(chan struct{})
	for _, m := range h.machines {
		m.advance(h)
	}
	for _, f := range h.files {
		f.merging = max(0, f.merging-1)
	}
}

// read does what changes nothing.
func (r *run) read(do func() error) {
	if r.err == nil {
		r.err = r.ctx.Err()
	}
	if r.err != nil {
		return
	}
	r.h.mu.Lock()
	defer r.h.mu.Unlock()
	r.err = do()
}

// change does what a changing cmdlet does, unless a cut was asked for. A cmdlet that the
// script does not have, or one before the script's lock, is the model's own mistake.
func (r *run) change(cmdlet string, do func() error) {
	if r.err == nil {
		r.err = r.ctx.Err()
	}
	if r.err != nil {
		return
	}
	if !strings.Contains(r.script.Text, cmdlet) {
		panic("sim: script " + r.script.Name + " has no " + cmdlet)
	}
	if len(r.locks) == 0 {
		panic("sim: script " + r.script.Name + " does " + cmdlet + " without a lock")
	}
	r.h.set(func() { r.h.cmdlets[r.script.Name+" "+cmdlet] = true })
	r.pause()
	cut, hit := r.h.faults.next()
	if hit && cut == Before {
		r.err = ErrCut
		return
	}
	r.read(do)
	if hit && r.err == nil && cut == After {
		r.err = ErrCut
	}
	r.lost = r.lost || hit && cut == Lost
}
