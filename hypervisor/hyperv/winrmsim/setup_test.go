package winrmsim_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"ingot/hypervisor/hyperv/winrmsim"
)

// shell is a handler that does what its command line says.
func shell(ctx context.Context, p winrmsim.Process) int {
	words := strings.Fields(p.Command + " " + strings.Join(p.Args, " "))
	switch words[0] {
	case "echo":
		fmt.Fprint(p.Stdout, strings.Join(words[1:], " "), "\r\n")
	case "cat":
		b, _ := io.ReadAll(p.Stdin)
		p.Stdout.Write(b)
	case "fail":
		fmt.Fprint(p.Stderr, "no such thing\r\n")
		return 7
	case "page":
		fmt.Fprint(p.Stdout, p.CodePage)
	case "hang":
		<-ctx.Done()
		return 1
	default:
		return 9009
	}
	return 0
}

// client speaks raw SOAP, with Basic.
type client struct {
	t    *testing.T
	url  string
	http *http.Client
}

func start(t *testing.T, o winrmsim.Options) (*winrmsim.Server, *client) {
	t.Helper()
	o.Basic = true
	if o.Handler == nil {
		o.Handler = shell
	}
	s := winrmsim.New(o)
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	return s, &client{t, s.URL(), &http.Client{Transport: transport}}
}

// request is an envelope to be spoilt.
type request struct{ action, resource, to, id, reply, extra, shell, body string }

func ask(action, shell, body string) request {
	if !strings.Contains(action, "/") {
		action = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/" + action
	}
	return request{action: action, shell: shell, body: body, id: "uuid:1", to: "https://there/wsman",
		resource: "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd", reply: "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"}
}

func (r request) String() string {
	if r.shell != "" {
		r.shell = `<w:SelectorSet><w:Selector Name="ShellId">` + r.shell + `</w:Selector></w:SelectorSet>`
	}
	return `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns:r="http://schemas.microsoft.com/wbem/wsman/1/windows/shell">` +
		`<s:Header><a:To>` + r.to + `</a:To><a:ReplyTo><a:Address>` + r.reply + `</a:Address></a:ReplyTo><a:MessageID>` + r.id + `</a:MessageID><a:Action>` + r.action + `</a:Action><w:ResourceURI>` + r.resource + `</w:ResourceURI>` +
		r.shell + r.extra + `</s:Header><s:Body>` + r.body + `</s:Body></s:Envelope>`
}

const createAction = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Create"

func create() request {
	return ask(createAction, "", `<r:Shell><r:InputStreams>stdin</r:InputStreams><r:OutputStreams>stdout stderr</r:OutputStreams></r:Shell>`)
}

// post sends a body as it is.
func (c *client) post(body, contentType string, login bool) (int, string, http.Header) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.url, bytes.NewReader([]byte(body)))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	if login {
		req.SetBasicAuth("user", "pass")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error(), nil
	}
	return res.StatusCode, string(b), res.Header
}

func (c *client) do(r request) (int, string) {
	c.t.Helper()
	status, body, _ := c.post(r.String(), "application/soap+xml;charset=UTF-8", true)
	return status, body
}

var (
	shellID   = regexp.MustCompile(`Name="ShellId">([^<]+)<`)
	commandID = regexp.MustCompile(`<rsp:CommandId>([^<]+)<`)
	streams   = regexp.MustCompile(`<rsp:Stream Name="(\w+)" CommandId="[^"]+">([^<]*)</rsp:Stream>`)
	faultCode = regexp.MustCompile(`WSManFault [^>]*Code="(\d+)"`)
)

// open makes a shell and starts a command in it.
func (c *client) open(line string) (shell, command string) {
	c.t.Helper()
	_, body := c.do(create())
	shell = group(c.t, shellID, body)
	_, body = c.do(ask("Command", shell, `<r:CommandLine><r:Command>`+line+`</r:Command></r:CommandLine>`))
	return shell, group(c.t, commandID, body)
}

func group(t *testing.T, re *regexp.Regexp, s string) string {
	t.Helper()
	m := re.FindStringSubmatch(s)
	if m == nil {
		t.Fatalf("no %s in %s", re, s)
	}
	return m[1]
}

func receive(shell, command string) request {
	return ask("Receive", shell, `<r:Receive><r:DesiredStream CommandId="`+command+`">stdout stderr</r:DesiredStream></r:Receive>`)
}

// output receives until the command is done.
func (c *client) output(shell, command string) (stdout, stderr, last string) {
	c.t.Helper()
	out := map[string]string{}
	for {
		status, body := c.do(receive(shell, command))
		if status != http.StatusOK {
			c.t.Fatalf("receive: %s", body)
		}
		for _, m := range streams.FindAllStringSubmatch(body, -1) {
			b, err := base64.StdEncoding.DecodeString(m[2])
			if err != nil {
				c.t.Fatal(err)
			}
			out[m[1]] += string(b)
		}
		if strings.Contains(body, "CommandState/Done") {
			return out["stdout"], out["stderr"], body
		}
	}
}

// file writes one for another program.
func file(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := t.TempDir() + "/" + name
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
