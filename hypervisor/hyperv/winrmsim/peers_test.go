package winrmsim_test

import (
	"bytes"
	"encoding/pem"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/masterzen/winrm"

	"ingot/hypervisor/hyperv/powershell"
	"ingot/hypervisor/hyperv/winrmsim"
)

// The program of pywinrm, an independent client: it runs commands, with input, over
// several Receives, and says what came of it.
const python = `
import sys, winrm
from winrm.protocol import Protocol
url, way, ca, password = sys.argv[1:5]
p = Protocol(endpoint=url, transport=way, username='user', password=password, ca_trust_path=ca, server_cert_validation='validate', operation_timeout_sec=5, read_timeout_sec=20)
shell = p.open_shell(codepage=65001)
for line in ['echo hello', 'fail', 'page', 'what']:
    command = p.run_command(shell, line.split()[0], line.split()[1:])
    print(line, p.get_command_output(shell, command))
    p.cleanup_command(shell, command)
p.close_shell(shell)
`

// authority writes the server's certificate as an authority to trust.
func authority(t *testing.T, s *winrmsim.Server) string {
	return file(t, "ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}

// interpreter is Debian's, which Debian's packages are for: there may be another one first
// in the PATH.
const interpreter = "/usr/bin/python3"

// legacy gives Python the hash MD4 back, which NTLM is made of and OpenSSL 3 has put away.
const legacy = "openssl_conf = init\n[init]\nproviders = list\n[list]\ndefault = on\nlegacy = on\n[on]\nactivate = 1\n"

func needPython(t *testing.T) {
	t.Helper()
	if out, err := exec.Command(interpreter, "-c", "import winrm, requests_ntlm").CombinedOutput(); err != nil {
		t.Skipf("needs pywinrm (Debian: python3-winrm): %s", out)
	}
}

func TestPython(t *testing.T) {
	needPython(t)
	want := "echo hello (b'hello\\r\\n', b'', 0)\nfail (b'', b'no such thing\\r\\n', 7)\npage (b'65001', b'', 0)\nwhat (b'', b'', 9009)\n"
	for name, test := range map[string]struct {
		options        winrmsim.Options
		way, pass, bad string
	}{
		"NTLM":                 {winrmsim.Options{ChunkBytes: 3}, "ntlm", "pass", ""},
		"NTLM, strict binding": {winrmsim.Options{StrictBinding: true}, "ntlm", "pass", ""},
		"NTLM, wrong password": {winrmsim.Options{}, "ntlm", "wrong", "credentials were rejected"},
		"Basic":                {winrmsim.Options{}, "basic", "pass", ""},
		"Basic off":            {winrmsim.Options{}, "basic", "pass", "credentials were rejected"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.options.Handler, test.options.Basic = shell, name == "Basic"
			s := winrmsim.New(test.options)
			defer s.Close()
			cmd := exec.CommandContext(t.Context(), interpreter, "-c", python, s.URL(), test.way, authority(t, s), test.pass)
			cmd.Env = append(cmd.Environ(), "NO_PROXY=*", "OPENSSL_CONF="+file(t, "openssl.cnf", []byte(legacy)))
			out, err := cmd.CombinedOutput()
			switch {
			case test.bad != "":
				if err == nil || !strings.Contains(string(out), test.bad) {
					t.Errorf("%v: %s", err, out)
				}
			case err != nil:
				t.Errorf("%v: %s", err, out)
			default:
				if diff := cmp.Diff(want, string(out)); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			}
			if s.Shells() != 0 {
				t.Errorf("%d shells are left over", s.Shells())
			}
		})
	}
}

// masterzen/winrm is the second client; its NTLM is Azure/go-ntlmssp's, without integrity
// code and channel binding.
func TestMasterzen(t *testing.T) {
	for name, test := range map[string]struct {
		options  winrmsim.Options
		ntlm     bool
		password string
		denied   bool
	}{
		"NTLM":                 {winrmsim.Options{ChunkBytes: 5}, true, "pass", false},
		"NTLM, wrong password": {winrmsim.Options{}, true, "wrong", true},
		"NTLM, strict binding": {winrmsim.Options{StrictBinding: true}, true, "pass", true},
		"Basic":                {winrmsim.Options{Basic: true}, false, "pass", false},
		"Basic off":            {winrmsim.Options{}, false, "pass", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.options.Handler = shell
			s := winrmsim.New(test.options)
			defer s.Close()
			stdout, stderr, exit, err := runMasterzen(t, s, test.ntlm, test.password, "cat", "some input")
			if test.denied {
				if err == nil || !strings.Contains(err.Error(), "401") {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil || stdout != "some input" || stderr != "" || exit != 0 {
				t.Errorf("got %q, %q, %d, %v", stdout, stderr, exit, err)
			}
		})
	}
}

func runMasterzen(t *testing.T, s *winrmsim.Server, ntlm bool, password, line, input string) (stdout, stderr string, exit int, err error) {
	t.Helper()
	host, port, _ := strings.Cut(s.Host(), ":")
	n := 0
	for _, c := range port {
		n = n*10 + int(c-'0')
	}
	p := *winrm.DefaultParameters
	if ntlm {
		p.TransportDecorator = func() winrm.Transporter { return &winrm.ClientNTLM{} }
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	c, err := winrm.NewClientWithParameters(winrm.NewEndpoint(host, n, true, false, ca, nil, nil, 20*time.Second), "user", password, &p)
	if err != nil {
		t.Fatal(err)
	}
	var out, said bytes.Buffer
	exit, err = c.RunWithContextWithInput(t.Context(), line, &out, &said, strings.NewReader(input))
	return out.String(), said.String(), exit, err
}

// Another command line than the bootstrap's is refused as PowerShell does, and so is input
// that is not whole.
func TestPowerShellRefuses(t *testing.T) {
	s := winrmsim.New(winrmsim.Options{Handler: winrmsim.PowerShell(nil)})
	defer s.Close()
	_, stderr, exit, err := runMasterzen(t, s, true, "pass", "powershell.exe -EncodedCommand ZGly", "")
	if err != nil || exit != 1 || !strings.HasPrefix(stderr, "#< CLIXML") {
		t.Errorf("another command: %q, %d, %v", stderr, exit, err)
	}
	line := powershell.Program + " " + strings.Join(powershell.Arguments(), " ")
	for _, input := range []string{"", "a\nb\nc\nd\n", "a\nb\nc\nd\ne\n", "a\n!\nc\nd\na\n", "a\neA==\neA==\neA==\na\n"} {
		if _, _, exit, err := runMasterzen(t, s, true, "pass", line, input); err != nil || exit != powershell.ExitNotWhole {
			t.Errorf("input %q: %d, %v", input, exit, err)
		}
	}
}
