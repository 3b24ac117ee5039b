package winrmsim

import (
	"crypto/rand"
	"fmt"
	"net/http"
)

const contentType = "application/soap+xml;charset=UTF-8"

// reply is the body of an answer and its action.
type reply struct{ action, body string }

// wrap makes an envelope of an answer (MS-WSMV 4: the examples' prefixes).
func wrap(relates, action, body string) string {
	if relates != "" {
		relates = "<a:RelatesTo>" + escape(relates) + "</a:RelatesTo>"
	}
	return fmt.Sprintf(`<s:Envelope xml:lang="en-US" xmlns:s="%s" xmlns:a="%s" xmlns:x="http://schemas.xmlsoap.org/ws/2004/09/transfer" xmlns:w="%s" xmlns:rsp="%s" xmlns:p="%s">`+
		`<s:Header><a:Action>%s</a:Action><a:MessageID>uuid:%s</a:MessageID><a:To>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:To>%s</s:Header>`+
		`<s:Body>%s</s:Body></s:Envelope>`, nsSOAP, nsAddressing, nsWSMan, nsShell, nsMicrosoft, action, newID(), relates, body)
}

// answer sends a reply, or a fault: with the status 500, whatever it is (DSP0226 annex C).
func answer(w http.ResponseWriter, r *request, ok *reply, fault *Fault) {
	id := ""
	if r != nil {
		id = r.id
	}
	w.Header().Set("Content-Type", contentType)
	if fault != nil {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, wrap(id, "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault", fault.xml()))
		return
	}
	fmt.Fprint(w, wrap(id, ok.action, ok.body))
}

// newID is a random UUID, in upper case as Windows writes it.
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%X-%X-%X-%X-%X", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
