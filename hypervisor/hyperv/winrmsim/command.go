package winrmsim

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"time"
)

// lineMax is what cmd.exe takes ("Command prompt line string limitation").
const lineMax = 8191

// command is a process in a shell, seen from the wire.
type command struct {
	id             string
	stdin          *stream
	stdout, stderr *stream
	cancel         context.CancelFunc
	done           chan struct{} // the process has ended, with exit
	exit           int
	gone           chan struct{} // terminated, or its shell is deleted
	once           sync.Once
}

// stop ends the process.
func (c *command) stop() {
	c.cancel()
	c.stdin.end()
}

// remove ends the process and whoever receives from it.
func (c *command) remove() {
	c.once.Do(func() { close(c.gone) })
	c.stop()
}

// command is MS-WSMV's Command with a CommandLine as its body.
func (s *Server) command(_ context.Context, sh *shell, r *request) (*reply, *Fault) {
	line := r.body.child(nsShell, "CommandLine")
	p := Process{Command: line.child(nsShell, "Command").text(), SkipCmd: isTrue(r.options["WINRS_SKIP_CMD_SHELL"]), CodePage: sh.codePage}
	for _, e := range line.children() {
		if e.XMLName.Local == "Arguments" {
			p.Args = append(p.Args, e.text())
		}
	}
	if p.Command == "" {
		return nil, badSchema.because("rsp:Command is missing.")
	}
	if f := s.admit(sh); f != nil {
		return nil, f
	}
	c := s.start(sh, p)
	return &reply{actionShell + "CommandResponse", fmt.Sprintf(`<rsp:CommandResponse><rsp:CommandId>%s</rsp:CommandId></rsp:CommandResponse>`, c.id)}, nil
}

// admit counts an operation, or says which quota is used up.
func (s *Server) admit(sh *shell) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.operations >= s.options.MaxOperations {
		f := TooManyOperations
		f.Text = strings.Replace(f.Text, "1500", fmt.Sprint(s.options.MaxOperations), 1)
		return &f
	}
	if sh.running() >= s.options.MaxProcesses {
		return &TooManyProcesses
	}
	s.operations++
	sh.used++
	return nil
}

func (sh *shell) running() int {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	n := 0
	for _, c := range sh.commands {
		select {
		case <-c.done:
		default:
			n++
		}
	}
	return n
}

func (s *Server) start(sh *shell, p Process) *command {
	ctx, cancel := context.WithCancel(s.ctx)
	c := &command{id: newID(), stdin: newStream(), stdout: newStream(), stderr: newStream(), cancel: cancel, done: make(chan struct{}), gone: make(chan struct{})}
	p.Stdin, p.Stdout, p.Stderr = c.stdin, c.stdout, c.stderr
	if !sh.stdin {
		c.stdin.end()
	}
	sh.mu.Lock()
	sh.commands[c.id] = c
	sh.mu.Unlock()
	s.works.Go(func() {
		defer cancel()
		c.exit = s.run(ctx, p)
		c.stdin.end()
		c.stdout.end()
		c.stderr.end()
		close(c.done)
	})
	return c
}

// run is what Windows does around a process: cmd.exe's limit, and that CreateProcess
// without cmd.exe wants a whole path (jborean93/pypsrp, Process).
func (s *Server) run(ctx context.Context, p Process) int {
	whole := strings.Join(append([]string{p.Command}, p.Args...), " ")
	switch {
	case !p.SkipCmd && len(whole) > lineMax:
		fmt.Fprint(p.Stderr, "The command line is too long.\r\n")
		return 1
	case p.SkipCmd && !strings.Contains(p.Command, `\`):
		fmt.Fprint(p.Stderr, "The system cannot find the file specified.\r\n")
		return 2
	}
	return s.options.Handler(ctx, p)
}

// send is MS-WSMV's Send.
func (s *Server) send(_ context.Context, sh *shell, r *request) (*reply, *Fault) {
	all := r.body.child(nsShell, "Send").children()
	if len(all) == 0 {
		return nil, badSchema.because("rsp:Stream is missing.")
	}
	for i := range all {
		if f := feed(sh, &all[i]); f != nil {
			return nil, f
		}
	}
	return &reply{actionShell + "SendResponse", "<rsp:SendResponse/>"}, nil
}

func feed(sh *shell, e *element) *Fault {
	c := sh.find(e.attr("", "CommandId"))
	data, err := base64.StdEncoding.DecodeString(e.text())
	switch {
	case c == nil:
		return &NotFound
	case e.attr("", "Name") != "stdin" || !sh.stdin:
		return badParameter.because("Stream %s.", e.attr("", "Name"))
	case err != nil:
		return badSchema.because("This is not Base64.")
	}
	if _, err := c.stdin.Write(data); err != nil && len(data) > 0 {
		return &Aborted // the pipe is closed
	}
	if isTrue(e.attr("", "End")) {
		c.stdin.end()
	}
	return nil
}

// signal is MS-WSMV 3.1.4.12 with the codes of 2.2.4.38.
func (s *Server) signal(_ context.Context, sh *shell, r *request) (*reply, *Fault) {
	e := r.body.child(nsShell, "Signal")
	c := sh.find(e.attr("", "CommandId"))
	if c == nil {
		return nil, &NotFound
	}
	const codes = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/signal/"
	switch code := e.child(nsShell, "Code").text(); strings.ToLower(code) {
	case codes + "terminate":
		sh.mu.Lock()
		delete(sh.commands, c.id)
		sh.mu.Unlock()
		c.remove()
	case codes + "ctrl_c", codes + "ctrl_break":
		c.stop()
	default:
		return nil, badParameter.because("Signal %s.", code)
	}
	return &reply{actionShell + "SignalResponse", "<rsp:SignalResponse/>"}, nil
}

// receive is MS-WSMV's Receive and ReceiveResponse.
func (s *Server) receive(ctx context.Context, sh *shell, r *request) (*reply, *Fault) {
	want := r.body.child(nsShell, "Receive").child(nsShell, "DesiredStream")
	c := sh.find(want.attr("", "CommandId"))
	if c == nil {
		return nil, &NotFound
	}
	late := time.NewTimer(r.timeout)
	defer late.Stop()
	for {
		select {
		case <-c.gone:
			return nil, &Aborted
		default:
		}
		out := s.collect(c, strings.Fields(want.text()), r)
		if out.has {
			return &reply{actionShell + "ReceiveResponse", out.xml(c)}, nil
		}
		select {
		case <-out.next[0]:
		case <-out.next[1]:
		case <-c.gone:
			return nil, &Aborted
		case <-late.C:
			return nil, &TimedOut
		case <-ctx.Done():
			return nil, &Aborted
		}
	}
}
