package winrmsim_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"ingot/hypervisor/hyperv/winrmsim"
)

func TestCommand(t *testing.T) {
	s, c := start(t, winrmsim.Options{ChunkBytes: 4})
	for _, test := range []struct{ line, stdout, stderr, exit string }{
		{"echo hello there", "hello there\r\n", "", "<rsp:ExitCode>0<"},
		{"fail", "", "no such thing\r\n", "<rsp:ExitCode>7<"},
		{"page", "437", "", "<rsp:ExitCode>0<"},
		{"what", "", "", "<rsp:ExitCode>9009<"},
		{"echo " + strings.Repeat("x", 8190), "", "The command line is too long.\r\n", "<rsp:ExitCode>1<"},
	} {
		shell, command := c.open(test.line)
		stdout, stderr, last := c.output(shell, command)
		if stdout != test.stdout || stderr != test.stderr || !strings.Contains(last, test.exit) || !strings.Contains(last, "<a:RelatesTo>uuid:1<") {
			t.Errorf("%.20s: got %q, %q, %s", test.line, stdout, stderr, last)
		}
		if status, body := c.do(ask(strings.Replace(createAction, "Create", "Delete", 1), shell, "")); status != http.StatusOK {
			t.Error(body)
		}
	}
	if s.Shells() != 0 {
		t.Errorf("%d shells are left", s.Shells())
	}
}

func send(shell, command, text, end string) request {
	return ask("Send", shell, `<r:Send><r:Stream Name="stdin" CommandId="`+command+`"`+end+`>`+base64.StdEncoding.EncodeToString([]byte(text))+`</r:Stream></r:Send>`)
}

func TestInput(t *testing.T) {
	_, c := start(t, winrmsim.Options{})
	shell, command := c.open("cat")
	c.do(send(shell, command, "one ", ""))
	c.do(send(shell, command, "two", ` End="true"`))
	if stdout, _, _ := c.output(shell, command); stdout != "one two" {
		t.Errorf("got %q", stdout)
	}
	if _, body := c.do(send(shell, command, "late", "")); group(t, faultCode, body) != "995" {
		t.Errorf("input after the end: %s", body)
	}
}

func signal(shell, command, code string) request {
	return ask("Signal", shell, `<r:Signal CommandId="`+command+`"><r:Code>http://schemas.microsoft.com/wbem/wsman/1/windows/shell/signal/`+code+`</r:Code></r:Signal>`)
}

func TestSignal(t *testing.T) {
	s, c := start(t, winrmsim.Options{})
	shell, command := c.open("hang")
	c.do(signal(shell, command, "ctrl_c"))
	if _, _, last := c.output(shell, command); !strings.Contains(last, "<rsp:ExitCode>1<") {
		t.Error(last)
	}
	shell, command = c.open("hang")
	done := make(chan string)
	go func() { _, body := c.do(receive(shell, command)); done <- body }()
	if err := s.Await(t.Context(), "Receive", 2); err != nil {
		t.Fatal(err)
	}
	c.do(signal(shell, command, "terminate"))
	if code := group(t, faultCode, <-done); code != "995" && code != "2150858843" {
		t.Errorf("a Receive under a terminate: %s", code)
	}
	if _, body := c.do(receive(shell, command)); group(t, faultCode, body) != "2150858843" {
		t.Errorf("after terminate: %s", body)
	}
}

func TestRefusals(t *testing.T) {
	s, c := start(t, winrmsim.Options{MaxShells: 3, MaxProcesses: 1, MaxOperations: 2, MaxEnvelope: 20000})
	shell, command := c.open("hang")
	change := func(r request, f func(*request)) request { f(&r); return r }
	extra := func(x string) request { return change(create(), func(r *request) { r.extra = x }) }
	for _, test := range []struct {
		name string
		request
		subcode, code string
	}{
		{"unknown header", extra(`<w:Sudo s:mustUnderstand="true"/>`), "s:MustUnderstand", "2150858768"},
		{"a locale that must be", extra(`<w:Locale xml:lang="de-DE" s:mustUnderstand="true"/>`), "w:UnsupportedFeature", "2150858887"},
		{"no MessageID", change(create(), func(r *request) { r.id = "" }), "a:MessageInformationHeaderRequired", "2150858769"},
		{"no To", change(create(), func(r *request) { r.to = "" }), "a:MessageInformationHeaderRequired", "2150858769"},
		{"no ReplyTo", change(create(), func(r *request) { r.reply = "" }), "a:MessageInformationHeaderRequired", "2150858769"},
		{"another resource", change(create(), func(r *request) { r.resource += "x" }), "a:DestinationUnreachable", "2150858752"},
		{"another action", ask("Dance", shell, ""), "a:ActionNotSupported", "2150858753"},
		{"no time", extra(`<w:OperationTimeout>PT0S</w:OperationTimeout>`), "w:InvalidTimeout", "2150858881"},
		{"no duration", extra(`<w:OperationTimeout>60</w:OperationTimeout>`), "w:InvalidTimeout", "2150858881"},
		{"tiny envelope", extra(`<w:MaxEnvelopeSize>8191</w:MaxEnvelopeSize>`), "w:EncodingLimit", "2150858878"},
		{"another selector", extra(`<w:SelectorSet><w:Selector Name="Name">x</w:Selector></w:SelectorSet>`), "w:InvalidSelectors", "2150858843"},
		{"no shell in the body", ask(createAction, "", ""), "w:SchemaValidationError", "2150858817"},
		{"another stream", ask(createAction, "", `<r:Shell><r:InputStreams>stdin pr</r:InputStreams></r:Shell>`), "w:InvalidParameter", "2150858810"},
		{"code page of words", change(create(), func(r *request) {
			r.extra = `<w:OptionSet><w:Option Name="WINRS_CODEPAGE">utf8</w:Option></w:OptionSet>`
		}), "w:InvalidParameter", "2150858810"},
		{"unknown shell", ask("Command", "NONE", `<r:CommandLine><r:Command>x</r:Command></r:CommandLine>`), "w:InvalidSelectors", "2150858843"},
		{"no command line", ask("Command", shell, ""), "w:SchemaValidationError", "2150858817"},
		{"a second process", ask("Command", shell, `<r:CommandLine><r:Command>echo</r:Command></r:CommandLine>`), "w:InternalError", "2150859241"},
		{"unknown command", receive(shell, "NONE"), "w:InvalidSelectors", "2150858843"},
		{"to another stream", change(send(shell, command, "", ""), func(r *request) { r.body = strings.Replace(r.body, "stdin", "pr", 1) }), "w:InvalidParameter", "2150858810"},
		{"no Base64", change(send(shell, command, "", ""), func(r *request) { r.body = strings.Replace(r.body, "></r:Stream", ">%</r:Stream", 1) }), "w:SchemaValidationError", "2150858817"},
		{"another signal", signal(shell, command, "hup"), "w:InvalidParameter", "2150858810"},
		{"nothing within the time", change(receive(shell, command), func(r *request) { r.extra = `<w:OperationTimeout>PT0.05S</w:OperationTimeout>` }), "w:TimedOut", "2150858793"},
		{"delete an unknown shell", ask(strings.Replace(createAction, "Create", "Delete", 1), "NONE", ""), "w:InvalidSelectors", "2150858843"},
	} {
		status, body := c.do(test.request)
		if status != http.StatusInternalServerError || group(t, faultCode, lastFault(body)) != test.code || !strings.Contains(body, "<s:Value>"+test.subcode+"<") {
			t.Errorf("%s: %d %s", test.name, status, body)
		}
	}
	c.open("hang")
	if _, body := c.do(create()); group(t, shellID, body) == "" {
		t.Error(body)
	}
	if _, body := c.do(create()); group(t, faultCode, body) != "2150859173" || !strings.Contains(body, "maximum number of 3 concurrent shells") {
		t.Errorf("a fourth shell: %s", body)
	}
	if _, body := c.do(ask("Command", shell, `<r:CommandLine><r:Command>echo</r:Command></r:CommandLine>`)); group(t, faultCode, body) != "2150859174" {
		t.Errorf("a third operation: %s", body)
	}
	if s.Shells() != 3 || !slices.ContainsFunc(s.Requests(), func(r winrmsim.Request) bool { return r.Code == 2150859173 }) {
		t.Errorf("%d shells, requests %+v", s.Shells(), s.Requests())
	}
}

// lastFault is the innermost one.
func lastFault(body string) string { return body[max(0, strings.LastIndex(body, "<f:WSManFault")):] }

func TestHTTP(t *testing.T) {
	s, c := start(t, winrmsim.Options{MaxEnvelope: 20000})
	soap := "application/soap+xml;charset=UTF-8"
	for name, test := range map[string]struct {
		body, kind string
		login      bool
		want       int
	}{
		"another type":     {create().String(), "text/xml", true, http.StatusUnsupportedMediaType},
		"another charset":  {create().String(), "application/soap+xml;charset=latin1", true, http.StatusUnsupportedMediaType},
		"not logged in":    {create().String(), soap, false, http.StatusUnauthorized},
		"too large":        {create().String() + strings.Repeat(" ", 20000), soap, true, http.StatusRequestEntityTooLarge},
		"no XML":           {"<", soap, true, http.StatusInternalServerError},
		"another envelope": {"<Envelope/>", soap, true, http.StatusInternalServerError},
	} {
		status, body, header := c.post(test.body, test.kind, test.login)
		if status != test.want {
			t.Errorf("%s: %d %s", name, status, body)
		}
		if got := header.Values("WWW-Authenticate"); status == 401 && !slices.Equal(got, []string{"Negotiate", `Basic realm="WSMAN"`}) {
			t.Errorf("%s: %q", name, got)
		}
	}
	c.url = strings.Replace(s.URL(), "https:", "http:", 1)
	if status, body, _ := c.post(create().String(), soap, true); status != http.StatusBadRequest && status != 0 {
		t.Errorf("plain HTTP: %d %s", status, body)
	}
	c.url = s.URL() + "/x"
	if status, _, _ := c.post(create().String(), soap, true); status != http.StatusNotFound {
		t.Errorf("another path: %d", status)
	}
}

func TestMishaps(t *testing.T) {
	s, c := start(t, winrmsim.Options{})
	for name, test := range map[string]struct {
		how    winrmsim.Mishap
		status int
		shells int
	}{
		"fault":      {winrmsim.Mishap{Fault: &winrmsim.TooManyShells}, 500, 0},
		"status":     {winrmsim.Mishap{Status: 503}, 503, 0},
		"cut before": {winrmsim.Mishap{CutBefore: true}, 0, 0},
		"cut after":  {winrmsim.Mishap{CutAfter: true}, 0, 1},
	} {
		s.ForgetShells()
		s.Fail("Create", 2, test.how)
		c.do(create())
		before := s.Shells()
		if status, body := c.do(create()); status != test.status || s.Shells() != before+test.shells {
			t.Errorf("%s: %d %s, %d shells", name, status, body, s.Shells())
		}
	}
	hold := make(chan struct{})
	s.Fail("", 1, winrmsim.Mishap{Hold: hold})
	done := make(chan int)
	go func() { status, _ := c.do(create()); done <- status }()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Await(ctx, "Create", 9); err != nil {
		t.Error(err)
	}
	close(hold)
	if status := <-done; status != http.StatusOK {
		t.Errorf("held: %d", status)
	}
}
