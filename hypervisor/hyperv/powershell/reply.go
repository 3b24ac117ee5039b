package powershell

import (
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
)

// reply is the part of an answer that is read here.
type reply struct {
	XMLName   xml.Name   `xml:"http://www.w3.org/2003/05/soap-envelope Envelope"`
	RelatesTo string     `xml:"Header>RelatesTo"`
	Selectors []selector `xml:"Body>ResourceCreated>ReferenceParameters>SelectorSet>Selector"`
	ShellID   string     `xml:"Body>Shell>ShellId"`
	CommandID string     `xml:"Body>CommandResponse>CommandId"`
	Streams   []stream   `xml:"Body>ReceiveResponse>Stream"`
	State     state      `xml:"Body>ReceiveResponse>CommandState"`
	Fault     *soapFault `xml:"Body>Fault"`
}

type selector struct {
	Name  string `xml:"Name,attr"`
	Value string `xml:",chardata"`
}

type stream struct {
	Name string `xml:"Name,attr"`
	Text string `xml:",chardata"`
}

type state struct {
	State    string `xml:"State,attr"`
	ExitCode uint32 `xml:"ExitCode"`
}

type soapFault struct {
	Subcode string     `xml:"Code>Subcode>Value"`
	Reason  string     `xml:"Reason>Text"`
	WSMan   wsmanFault `xml:"Detail>WSManFault"`
}

// wsmanFault is MS-WSMV's WSManFault; a plugin's is within a ProviderFault.
type wsmanFault struct {
	Code    uint32 `xml:"Code,attr"`
	Message struct {
		Text     string      `xml:",chardata"`
		Provider *wsmanFault `xml:"ProviderFault>WSManFault"`
	} `xml:"Message"`
}

var errNotSOAP = errors.New("the answer is not WS-Management's")

// parseReply reads an answer to the message of that ID. A fault in it is an error.
func parseReply(raw []byte, id string) (*reply, error) {
	var r reply
	if err := xml.Unmarshal(raw, &r); err != nil {
		return nil, fmt.Errorf("%w: %w", errNotSOAP, err)
	}
	if f := r.Fault; f != nil {
		return nil, f.fault()
	}
	if !strings.EqualFold(strings.TrimSpace(r.RelatesTo), id) {
		return nil, fmt.Errorf("%w: it is for another request", errNotSOAP)
	}
	return &r, nil
}

// shell is the ID of the shell that was created.
func (r *reply) shell() (string, error) {
	for _, s := range r.Selectors {
		if s.Name == "ShellId" && strings.TrimSpace(s.Value) != "" {
			return strings.TrimSpace(s.Value), nil
		}
	}
	if id := strings.TrimSpace(r.ShellID); id != "" {
		return id, nil
	}
	return "", fmt.Errorf("%w: it names no shell", errNotSOAP)
}

func (r *reply) command() (string, error) {
	if id := strings.TrimSpace(r.CommandID); id != "" {
		return id, nil
	}
	return "", fmt.Errorf("%w: it names no command", errNotSOAP)
}

// output adds what was received to a process, and tells whether that has ended. Standard
// error is kept up to a limit; standard output beyond its own is an error.
func (r *reply) output(p *process) (done bool, err error) {
	for _, s := range r.Streams {
		data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s.Text), ""))
		switch {
		case err != nil:
			return false, fmt.Errorf("%w: stream %s: %w", errNotSOAP, s.Name, err)
		case s.Name == "stdout":
			p.stdout = append(p.stdout, data...)
		case len(p.stderr) < stderrMax:
			p.stderr = append(p.stderr, data...)
		}
	}
	if len(p.stdout) > outputMax {
		return false, errTooMuch
	}
	p.exit = int(int32(r.State.ExitCode))
	return strings.HasSuffix(r.State.State, "CommandState/Done"), nil
}
