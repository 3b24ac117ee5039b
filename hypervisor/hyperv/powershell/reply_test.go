package powershell

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/bodgit/ntlmssp"
	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
)

// soap is an answer as Windows prefixes it.
func soap(body string) []byte {
	return []byte(`<s:Envelope xml:lang="en-US" xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:x="http://schemas.xmlsoap.org/ws/2004/09/transfer"` +
		` xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns:rsp="http://schemas.microsoft.com/wbem/wsman/1/windows/shell"><s:Header><a:RelatesTo>uuid:1</a:RelatesTo></s:Header><s:Body>` + body + `</s:Body></s:Envelope>`)
}

const created = `<x:ResourceCreated><a:ReferenceParameters><w:SelectorSet><w:Selector Name="ShellId">ABC</w:Selector></w:SelectorSet></a:ReferenceParameters></x:ResourceCreated>`

func faulty(detail string) string {
	return `<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>w:QuotaLimit</s:Value></s:Subcode></s:Code><s:Reason><s:Text xml:lang="en-US">outer</s:Text></s:Reason><s:Detail>` + detail + `</s:Detail></s:Fault>`
}

func TestParseReply(t *testing.T) {
	r, err := parseReply(soap(created), "uuid:1")
	if err != nil {
		t.Fatal(err)
	}
	if id, err := r.shell(); id != "ABC" || err != nil {
		t.Errorf("shell %q, %v", id, err)
	}
	if _, err := r.command(); !errors.Is(err, errNotSOAP) {
		t.Errorf("no command: %v", err)
	}
	if _, err := parseReply(soap(created), "uuid:2"); !errors.Is(err, errNotSOAP) {
		t.Errorf("of another request: %v", err)
	}
	if _, err := parseReply([]byte("<html><body>IIS</body></html>"), "uuid:1"); !errors.Is(err, errNotSOAP) {
		t.Errorf("a page: %v", err)
	}
}

func TestOutput(t *testing.T) {
	r, err := parseReply(soap(`<rsp:ReceiveResponse><rsp:Stream Name="stdout" CommandId="1">aGVs`+"\n"+`bG8=</rsp:Stream><rsp:Stream Name="stderr" CommandId="1">b3V0Y2g=</rsp:Stream><rsp:Stream Name="stdout" CommandId="1" End="true"/>`+
		`<rsp:CommandState CommandId="1" State="http://schemas.microsoft.com/wbem/wsman/1/windows/shell/CommandState/Done"><rsp:ExitCode>4294967295</rsp:ExitCode></rsp:CommandState></rsp:ReceiveResponse>`), "uuid:1")
	if err != nil {
		t.Fatal(err)
	}
	var p process
	done, err := r.output(&p)
	if diff := cmp.Diff(process{stdout: []byte("hello"), stderr: []byte("outch"), exit: -1}, p, cmp.AllowUnexported(process{})); diff != "" || !done || err != nil {
		t.Errorf("%v, %v (-want +got)\n%s", done, err, diff)
	}
	p.stdout, p.stderr = make([]byte, outputMax), make([]byte, stderrMax)
	if _, err := r.output(&p); !errors.Is(err, errTooMuch) || len(p.stderr) != stderrMax {
		t.Errorf("output without end: %v, and %d bytes of errors", err, len(p.stderr))
	}
	r.Streams[0].Text = "%%%"
	if _, err := r.output(&p); !errors.Is(err, errNotSOAP) {
		t.Errorf("not Base64: %v", err)
	}
}

func TestFaults(t *testing.T) {
	const open = `<f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" Code="%" Machine="m"><f:Message>`
	simple := func(code string) string {
		return faulty(strings.Replace(open, "%", code, 1) + "inner </f:Message></f:WSManFault>")
	}
	for name, test := range map[string]struct {
		body, want string
		class      error
	}{
		"shells":     {simple("2150859173"), "inner (WS-Management fault 2150859173): end shells that are left over, or raise the limit: winrm set winrm/config/winrs @{MaxShellsPerUser", inventory.ErrBusy},
		"operations": {simple("2150859174"), "MaxConcurrentOperationsPerUser", inventory.ErrBusy},
		"of a plugin": {faulty(strings.Replace(open, "%", "1", 1) + `<f:ProviderFault provider="Shell cmd plugin" path="x">` + strings.Replace(open, "%", "2150859241", 1) +
			"deep</f:Message></f:WSManFault></f:ProviderFault></f:Message></f:WSManFault>"), "deep (WS-Management fault 2150859241)", inventory.ErrBusy},
		"denied":    {simple("5"), "Remote Management Users", inventory.ErrDenied},
		"envelope":  {simple("2150858790"), "MaxEnvelopeSizekb", inventory.ErrUnsupported},
		"unknown":   {simple("77"), "inner (WS-Management fault 77, QuotaLimit)", inventory.ErrBusy},
		"no detail": {faulty(""), "outer (WS-Management fault 0, QuotaLimit)", inventory.ErrBusy},
	} {
		_, err := parseReply(soap(test.body), "uuid:1")
		if !errors.Is(err, test.class) || !isFault(err) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseReply(f *testing.F) {
	f.Add(soap(created))
	f.Add(soap(faulty(`<f:WSManFault xmlns:f="x" Code="5"><f:Message><f:ProviderFault><f:WSManFault Code="6"/></f:ProviderFault></f:Message></f:WSManFault>`)))
	f.Add(soap(`<rsp:ReceiveResponse><rsp:Stream Name="stdout">eA==</rsp:Stream><rsp:CommandState State="x/CommandState/Done"><rsp:ExitCode>1</rsp:ExitCode></rsp:CommandState></rsp:ReceiveResponse>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseReply(b, "uuid:1")
		if err != nil {
			_ = err.Error()
			return
		}
		var p process
		_, _ = r.output(&p)
		_, _ = r.shell()
		_, _ = r.command()
	})
}

// challenge is one of MS-NLMP 4.2.4.3.
const challenge = "TlRMTVNTUAACAAAADAAMADgAAAAzgori ASNFZ4mrze8AAAAAAAAAACQAJABEAAAABgBwFwAAAA9TAGUAcgB2AGUAcgACAAwARABvAG0AYQBpAG4AAQAMAFMAZQByAHYAZQByAAAAAAA="

// A host's challenge comes before it is known who it is.
func FuzzChallenge(f *testing.F) {
	raw, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(challenge, " ", ""))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte("NTLMSSP\x00\x02\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		login, err := ntlmssp.NewClient(ntlmssp.SetUserInfo("user", "password"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := login.Authenticate(nil, nil); err != nil {
			t.Fatal(err)
		}
		if m, err := authenticate(login, b, nil); err == nil && len(m) == 0 {
			t.Error("neither message nor error")
		}
	})
}
