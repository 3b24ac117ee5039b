package winrmsim

import (
	"encoding/xml"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	resourceCmd = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd"
	actionShell = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/"
	// timeoutDefault is MaxTimeoutms (Installation and configuration for WinRM).
	timeoutDefault = 60 * time.Second
	envelopeMin    = 8192
	envelopeUsual  = 153600
)

// request is a SOAP request that was checked.
type request struct {
	id, action, shell string
	body              *element
	options           map[string]string
	timeout           time.Duration
	// envelope is the largest answer that the client takes.
	envelope int
}

// understood are the headers that a service understands (DSP0226 5 and 6, MS-WSMV).
var understood = map[xml.Name]bool{
	{Space: nsAddressing, Local: "To"}: true, {Space: nsAddressing, Local: "ReplyTo"}: true, {Space: nsAddressing, Local: "Action"}: true,
	{Space: nsAddressing, Local: "MessageID"}: true, {Space: nsWSMan, Local: "ResourceURI"}: true, {Space: nsWSMan, Local: "SelectorSet"}: true,
	{Space: nsWSMan, Local: "OptionSet"}: true, {Space: nsWSMan, Local: "OperationTimeout"}: true, {Space: nsWSMan, Local: "MaxEnvelopeSize"}: true,
	{Space: nsWSMan, Local: "Locale"}: true, {Space: nsMicrosoft, Local: "DataLocale"}: true, {Space: nsMicrosoft, Local: "SessionId"}: true,
	{Space: nsMicrosoft, Local: "OperationID"}: true, {Space: nsMicrosoft, Local: "SequenceId"}: true,
}

// parse checks an envelope. The request is not nil where its MessageID could be read, so
// that a fault can relate to it.
func parse(raw []byte) (*request, *Fault) {
	var envelope element
	if err := xml.Unmarshal(raw, &envelope); err != nil || envelope.XMLName != (xml.Name{Space: nsSOAP, Local: "Envelope"}) {
		return nil, badSchema.because("This is no SOAP 1.2 envelope.")
	}
	header := envelope.child(nsSOAP, "Header")
	r := &request{id: header.child(nsAddressing, "MessageID").text(), action: header.child(nsAddressing, "Action").text(),
		body: envelope.child(nsSOAP, "Body"), options: map[string]string{}}
	if header == nil || r.body == nil {
		return r, badSchema.because("Header or body is missing.")
	}
	for _, check := range []func(*element) *Fault{r.understand, r.address, r.limits, r.selectors} {
		if f := check(header); f != nil {
			return r, f
		}
	}
	return r, nil
}

// understand refuses unknown headers that must be understood (SOAP 1.2 part 1, 5.2.3).
func (r *request) understand(header *element) *Fault {
	for _, h := range header.Children {
		if isTrue(h.attr(nsSOAP, "mustUnderstand")) && !understood[h.XMLName] {
			return notUnderstood.because("%s", h.XMLName.Local)
		}
	}
	if l := header.child(nsWSMan, "Locale"); isTrue(l.attr(nsSOAP, "mustUnderstand")) && l.attr(nsXML, "lang") != "en-US" {
		return badLocale.because("%s", l.attr(nsXML, "lang"))
	}
	return nil
}

// address checks WS-Addressing's headers and the resource (DSP0226 5.1 and 5.4). The To of
// some clients names another host, which real services take.
func (r *request) address(header *element) *Fault {
	for name, value := range map[string]string{"MessageID": r.id, "Action": r.action, "To": header.child(nsAddressing, "To").text(),
		"ReplyTo": header.child(nsAddressing, "ReplyTo").child(nsAddressing, "Address").text()} {
		if value == "" {
			return headerMissing.because("%s", name)
		}
	}
	// MS-WSMV, the ResourceURI of the text-based command shell.
	if uri := header.child(nsWSMan, "ResourceURI").text(); uri != resourceCmd {
		return unreachable.because("%s", uri)
	}
	for _, o := range header.child(nsWSMan, "OptionSet").children() {
		r.options[o.attr("", "Name")] = o.text()
	}
	return nil
}

func (e *element) children() []element {
	if e == nil {
		return nil
	}
	return e.Children
}

// limits reads how long and how much (DSP0226 6.1 and 6.2).
func (r *request) limits(header *element) *Fault {
	r.timeout, r.envelope = timeoutDefault, envelopeUsual
	if e := header.child(nsWSMan, "OperationTimeout"); e != nil {
		d, ok := duration(e.text())
		if !ok || d <= 0 {
			return badTimeout.because("%q", e.text())
		}
		r.timeout = d
	}
	if e := header.child(nsWSMan, "MaxEnvelopeSize"); e != nil {
		n, err := strconv.Atoi(e.text())
		if err != nil || n < envelopeMin {
			return envelopeTooSmall.because("%q", e.text())
		}
		r.envelope = n
	}
	return nil
}

// selectors reads the shell's (DSP0226 5.1.2.2).
func (r *request) selectors(header *element) *Fault {
	for _, s := range header.child(nsWSMan, "SelectorSet").children() {
		if s.attr("", "Name") != "ShellId" {
			return NotFound.because("%s", s.attr("", "Name"))
		}
		r.shell = strings.ToUpper(s.text())
	}
	return nil
}

var durations = regexp.MustCompile(`^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$`)

// duration reads an xs:duration without years and months.
func duration(s string) (time.Duration, bool) {
	m := durations.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil || strings.HasSuffix(s, "P") || strings.HasSuffix(s, "T") {
		return 0, false
	}
	total := 0.0
	for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second} {
		n, _ := strconv.ParseFloat("0"+m[i+1], 64) // digits, by the expression
		total += n * float64(unit)
	}
	return time.Duration(total), total < float64(1<<62)
}
