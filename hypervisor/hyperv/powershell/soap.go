package powershell

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"strings"
	"time"
)

const (
	resourceCmd  = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd"
	actionShell  = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/"
	actionCreate = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Create"
	actionDelete = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Delete"

	// envelopeMax is the smallest limit of servers that are about: MaxEnvelopeSizekb was
	// 150 by default up to Windows Server 2008 R2, and is 500 since.
	envelopeMax = 153600
	// chunkBytes of standard input make an envelope of some 135,000 bytes.
	chunkBytes = 100000
	// operationTimeout is how long the server holds a Receive without output. It is under
	// what proxies and firewalls take for a dead connection.
	operationTimeout = 20 * time.Second
	// shellIdle is how long the server keeps a shell that nobody uses; without it that
	// is two hours.
	shellIdle = 30 * time.Minute
	// lastWords is how long a process that did not take its input is listened to.
	lastWords = time.Second
)

// message is a WS-Management request (DSP0226 5 and 6, MS-WSMV).
type message struct {
	action, shell string
	options       string
	body          string
	// timeout is how long the server may take; zero is operationTimeout.
	timeout time.Duration
}

// envelope writes a message to an address under an ID.
func (m message) envelope(to, id string) []byte {
	if m.shell != "" {
		m.shell = `<w:SelectorSet><w:Selector Name="ShellId">` + escape(m.shell) + `</w:Selector></w:SelectorSet>`
	}
	if m.options != "" {
		m.options = `<w:OptionSet>` + m.options + `</w:OptionSet>`
	}
	return fmt.Appendf(nil, `<?xml version="1.0" encoding="UTF-8"?>`+
		`<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"`+
		` xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd" xmlns:r="http://schemas.microsoft.com/wbem/wsman/1/windows/shell">`+
		`<s:Header><a:To>%s</a:To><a:ReplyTo><a:Address s:mustUnderstand="true">http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>`+
		`<w:MaxEnvelopeSize s:mustUnderstand="true">%d</w:MaxEnvelopeSize><a:MessageID>%s</a:MessageID>`+
		`<w:Locale xml:lang="en-US" s:mustUnderstand="false"/><p:DataLocale xml:lang="en-US" s:mustUnderstand="false"/>`+
		`<w:OperationTimeout>PT%.3fS</w:OperationTimeout><w:ResourceURI s:mustUnderstand="true">%s</w:ResourceURI><a:Action s:mustUnderstand="true">%s</a:Action>%s%s</s:Header>`+
		`<s:Body>%s</s:Body></s:Envelope>`, escape(to), envelopeMax, id, cmp.Or(m.timeout, operationTimeout).Seconds(), resourceCmd, m.action, m.shell, m.options, m.body)
}

func option(name, value string) string {
	return `<w:Option Name="` + name + `">` + value + `</w:Option>`
}

// createShell is MS-WSMV's wxf:Create of a Shell. Code page 65001 is UTF-8, for what programs say. The
// user's registry is loaded, as with other clients; its scripts are not (-NoProfile).
func createShell() message {
	return message{action: actionCreate, options: option("WINRS_NOPROFILE", "FALSE") + option("WINRS_CODEPAGE", "65001"),
		body: fmt.Sprintf(`<r:Shell><r:InputStreams>stdin</r:InputStreams><r:OutputStreams>stdout stderr</r:OutputStreams><r:IdleTimeOut>PT%.3fS</r:IdleTimeOut></r:Shell>`, shellIdle.Seconds())}
}

func deleteShell(shell string) message { return message{action: actionDelete, shell: shell} }

// startCommand is MS-WSMV's Command: the bootstrap, by cmd.exe, since a process that is
// started without it wants a whole path. Standard input is a pipe, no console.
func startCommand(shell string) message {
	var args strings.Builder
	for _, a := range Arguments() {
		args.WriteString(`<r:Arguments>` + escape(a) + `</r:Arguments>`)
	}
	return message{action: actionShell + "Command", shell: shell, options: option("WINRS_CONSOLEMODE_STDIN", "FALSE") + option("WINRS_SKIP_CMD_SHELL", "FALSE"),
		body: `<r:CommandLine><r:Command>` + Program + `</r:Command>` + args.String() + `</r:CommandLine>`}
}

// sendInput is MS-WSMV's Send.
func sendInput(shell, command string, chunk []byte, last bool) message {
	end := ""
	if last {
		end = ` End="true"`
	}
	return message{action: actionShell + "Send", shell: shell, body: fmt.Sprintf(`<r:Send><r:Stream Name="stdin" CommandId="%s"%s>%s</r:Stream></r:Send>`,
		escape(command), end, base64.StdEncoding.EncodeToString(chunk))}
}

// receiveOutput is MS-WSMV's Receive.
func receiveOutput(shell, command string) message {
	return message{action: actionShell + "Receive", shell: shell, options: option("WSMAN_CMDSHELL_OPTION_KEEPALIVE", "TRUE"),
		body: fmt.Sprintf(`<r:Receive><r:DesiredStream CommandId="%s">stdout stderr</r:DesiredStream></r:Receive>`, escape(command))}
}

// terminate is MS-WSMV 3.1.4.12, Signal; it also frees a command that has ended.
func terminate(shell, command string) message {
	return message{action: actionShell + "Signal", shell: shell, body: fmt.Sprintf(`<r:Signal CommandId="%s"><r:Code>%ssignal/terminate</r:Code></r:Signal>`, escape(command), actionShell)}
}

func escape(s string) string {
	var b strings.Builder
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		panic("powershell: " + err.Error()) // a strings.Builder takes all
	}
	return b.String()
}

// newMessageID is a random UUID.
func newMessageID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("uuid:%X-%X-%X-%X-%X", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
