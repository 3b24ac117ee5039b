package winrmsim

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// shell is a text-based command shell (MS-WSMV, Shell).
type shell struct {
	id       string
	codePage int
	stdin    bool
	streams  []string

	mu       sync.Mutex
	commands map[string]*command
	// used counts the commands that were ever started: Windows does not give an
	// operation back when a command is terminated, only when its shell goes (MS-WSMV,
	// product behavior note 118).
	used int
}

// act does what a request asks for.
func (s *Server) act(ctx context.Context, r *request) (*reply, *Fault) {
	if s.options.Denied {
		return nil, &AccessDenied
	}
	switch r.action {
	case "http://schemas.xmlsoap.org/ws/2004/09/transfer/Create":
		return s.create(r)
	case "http://schemas.xmlsoap.org/ws/2004/09/transfer/Delete":
		return s.remove(r)
	}
	do, ok := map[string]func(context.Context, *shell, *request) (*reply, *Fault){
		actionShell + "Command": s.command, actionShell + "Send": s.send, actionShell + "Receive": s.receive, actionShell + "Signal": s.signal,
	}[r.action]
	if !ok {
		return nil, actionNotSupported.because("%s", r.action)
	}
	sh := s.shell(r.shell)
	if sh == nil {
		return nil, &NotFound
	}
	return do(ctx, sh, r)
}

func (s *Server) shell(id string) *shell {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shells[id]
}

// create is MS-WSMV's wxf:Create with a Shell as its body.
func (s *Server) create(r *request) (*reply, *Fault) {
	sh, fault := newShell(r)
	if fault != nil {
		return nil, fault
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.shells) >= s.options.MaxShells {
		f := TooManyShells
		f.Text = strings.Replace(f.Text, "30", strconv.Itoa(s.options.MaxShells), 1)
		return nil, &f
	}
	s.shells[sh.id] = sh
	return &reply{"http://schemas.xmlsoap.org/ws/2004/09/transfer/CreateResponse", fmt.Sprintf(
		`<x:ResourceCreated><a:Address>%s</a:Address><a:ReferenceParameters><w:ResourceURI>%s</w:ResourceURI><w:SelectorSet><w:Selector Name="ShellId">%s</w:Selector></w:SelectorSet></a:ReferenceParameters></x:ResourceCreated>`+
			`<rsp:Shell><rsp:ShellId>%[3]s</rsp:ShellId><rsp:ResourceUri>%[2]s</rsp:ResourceUri><rsp:Owner>%[4]s</rsp:Owner><rsp:InputStreams>stdin</rsp:InputStreams><rsp:OutputStreams>%[5]s</rsp:OutputStreams></rsp:Shell>`,
		s.URL(), resourceCmd, sh.id, escape(s.options.User), strings.Join(sh.streams, " "))}, nil
}

func newShell(r *request) (*shell, *Fault) {
	body := r.body.child(nsShell, "Shell")
	if body == nil || r.shell != "" {
		return nil, badSchema.because("rsp:Shell is missing.")
	}
	sh := &shell{id: newID(), codePage: 437, commands: map[string]*command{}}
	in, out := strings.Fields(body.child(nsShell, "InputStreams").text()), strings.Fields(body.child(nsShell, "OutputStreams").text())
	for _, name := range append(slices.Clone(in), out...) {
		if !slices.Contains([]string{"stdin", "stdout", "stderr"}, name) { // MS-WSMV, Shell: those of cmd
			return nil, badParameter.because("Stream %s.", name)
		}
	}
	sh.stdin, sh.streams = slices.Contains(in, "stdin"), out
	if page, has := r.options["WINRS_CODEPAGE"]; has { // MS-WSMV, options of Create
		n, err := strconv.Atoi(page)
		if err != nil || n < 1 || n > 65535 {
			return nil, badParameter.because("WINRS_CODEPAGE %q.", page)
		}
		sh.codePage = n
	}
	for _, name := range []string{"IdleTimeOut", "Lifetime"} {
		if e := body.child(nsShell, name); e != nil {
			if d, ok := duration(e.text()); !ok || d < time.Second {
				return nil, badSchema.because("%s %q.", name, e.text())
			}
		}
	}
	return sh, nil
}

// remove is MS-WSMV's wxf:Delete: the processes in the shell end.
func (s *Server) remove(r *request) (*reply, *Fault) {
	s.mu.Lock()
	sh := s.shells[r.shell]
	delete(s.shells, r.shell)
	if sh != nil {
		s.operations -= sh.used
	}
	s.mu.Unlock()
	if sh == nil {
		return nil, &NotFound
	}
	sh.end()
	return &reply{"http://schemas.xmlsoap.org/ws/2004/09/transfer/DeleteResponse", ""}, nil
}

// end ends all commands.
func (sh *shell) end() {
	sh.mu.Lock()
	all := sh.commands
	sh.commands = map[string]*command{}
	sh.mu.Unlock()
	for _, c := range all {
		c.remove()
	}
}

func (sh *shell) find(id string) *command {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.commands[strings.ToUpper(id)]
}
