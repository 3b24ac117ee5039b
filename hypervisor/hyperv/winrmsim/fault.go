package winrmsim

import "fmt"

// Fault is a SOAP fault with a WSManFault in its detail (MS-WSMV, WSManFault).
type Fault struct {
	// Sender: the request was wrong; else the service could not do it.
	Sender bool
	// Subcode is a qualified name ("w:TimedOut"), with the prefixes s, a and w.
	Subcode string
	// Code is Windows's (wsmerror.h).
	Code uint32
	Text string
	// Provider, when set, is the plugin that reports it; Code and Text are in its
	// ProviderFault then.
	Provider string
	// Detail is more XML for the fault's detail.
	Detail string
}

// Error implements error.
func (f *Fault) Error() string { return fmt.Sprintf("%s (%d): %s", f.Subcode, f.Code, f.Text) }

// The faults that clients have to expect of a service that they use rightly. The numbers
// are those of wsmerror.h in the Windows SDK; the texts are Windows's.
var (
	// TimedOut: nothing to receive within OperationTimeout (MS-WSMV, Receive;
	// DSP0226 6.1 and 14.6, wsman:TimedOut).
	TimedOut = Fault{Subcode: "w:TimedOut", Code: 2150858793,
		Text: "The WS-Management service cannot complete the operation within the time specified in OperationTimeout.  "}
	// NotFound: no such shell or command, or it is gone (DSP0226 14.6, wsman:InvalidSelectors).
	NotFound = Fault{Sender: true, Subcode: "w:InvalidSelectors", Code: 2150858843,
		Text: "The WS-Management service cannot process the request because the request contained invalid selectors for the resource. "}
	// Aborted: the shell or command went away under a Receive (ERROR_OPERATION_ABORTED).
	Aborted = Fault{Subcode: "w:InternalError", Code: 995,
		Text: "The I/O operation has been aborted because of either a thread exit or an application request. "}
	// AccessDenied: logged in, and not allowed (ERROR_ACCESS_DENIED).
	AccessDenied = Fault{Sender: true, Subcode: "w:AccessDenied", Code: 5, Text: "Access is denied. "}
	// TooManyShells: MaxShellsPerUser (hashicorp/vagrant#7489).
	TooManyShells = Fault{Subcode: "w:QuotaLimit", Code: 2150859173,
		Text: "The WS-Management service cannot process the request. This user is allowed a maximum number of 30 concurrent shells, which has been exceeded. Close existing shells or raise the quota for this user. "}
	// TooManyOperations: MaxConcurrentOperationsPerUser (masterzen/winrm#129).
	TooManyOperations = Fault{Subcode: "w:QuotaLimit", Code: 2150859174,
		Text: "The WS-Management service cannot process the request. This user is allowed a maximum number of 1500 concurrent operations, which has been exceeded. Close existing operations for this user, or raise the quota for this user. "}
	// TooManyProcesses: MaxProcessesPerShell, which the shell's plugin reports.
	TooManyProcesses = Fault{Subcode: "w:InternalError", Code: 2150859241, Provider: "Shell cmd plugin",
		Text: "The WS-Management service cannot process the request. The maximum number of concurrent commands per shell has been exceeded. Retry the request later or raise the Maximum Commands per Shell quota. "}
)

// The faults for requests that are wrong.
var (
	// SOAP 1.2 part 1, 5.2.3 and 5.4.8.
	notUnderstood = Fault{Sender: true, Subcode: "s:MustUnderstand", Code: 2150858768,
		Text: "The WS-Management service cannot process the request because a header marked mustUnderstand is not known. "}
	// WS-Addressing (2004/08) 4: wsa:MessageInformationHeaderRequired.
	headerMissing = Fault{Sender: true, Subcode: "a:MessageInformationHeaderRequired", Code: 2150858769,
		Text: "The WS-Management service cannot process the request. A required WS-Addressing header is missing. "}
	// DSP0226 14.6, wsa:ActionNotSupported.
	actionNotSupported = Fault{Sender: true, Subcode: "a:ActionNotSupported", Code: 2150858753,
		Text: "The WS-Management service cannot process the request. The WS-Addressing action URI is invalid. "}
	// DSP0226 5.1.2.1 and 14.6: wsa:DestinationUnreachable with the detail InvalidResourceURI.
	unreachable = Fault{Sender: true, Subcode: "a:DestinationUnreachable", Code: 2150858752,
		Text:   "The WS-Management service cannot process the request. The service cannot find the resource identified by the resource URI and selectors. ",
		Detail: "<w:FaultDetail>http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/InvalidResourceURI</w:FaultDetail>"}
	// DSP0226 6.2: MaxEnvelopeSize is at least 8192.
	envelopeTooSmall = Fault{Sender: true, Subcode: "w:EncodingLimit", Code: 2150858878,
		Text:   "The WS-Management service cannot process the request because the envelope size in the request is too small. ",
		Detail: "<w:FaultDetail>http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/MinimumEnvelopeLimit</w:FaultDetail>"}
	// DSP0226 6.1: OperationTimeout is an xs:duration above zero.
	badTimeout = Fault{Sender: true, Subcode: "w:InvalidTimeout", Code: 2150858881,
		Text: "The WS-Management service cannot process the request because the OperationTimeout is invalid. "}
	// DSP0226 6.3: a locale that must be understood.
	badLocale = Fault{Sender: true, Subcode: "w:UnsupportedFeature", Code: 2150858887,
		Text:   "The WS-Management service does not support the specified locale. ",
		Detail: "<w:FaultDetail>http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/Locale</w:FaultDetail>"}
	// DSP0226 14.6, wsman:SchemaValidationError: what is not of MS-WSMV's schema.
	badSchema = Fault{Sender: true, Subcode: "w:SchemaValidationError", Code: 2150858817,
		Text: "The WS-Management service cannot process the request because the XML is invalid. "}
	// MS-WSMV 3.1.4.12 for signal codes, and its messages Send and Shell for streams.
	badParameter = Fault{Sender: true, Subcode: "w:InvalidParameter", Code: 2150858810, Text: "The parameter is incorrect. "}
)

// because adds to a wrong request's fault what was wrong.
func (f Fault) because(format string, args ...any) *Fault {
	f.Text += fmt.Sprintf(format, args...)
	return &f
}

// xml is the body's element.
func (f *Fault) xml() string {
	who := "s:Receiver"
	if f.Sender {
		who = "s:Sender"
	}
	message := escape(f.Text)
	if f.Provider != "" {
		message = fmt.Sprintf(`<f:ProviderFault provider="%s" path="%%systemroot%%\system32\winrscmd.dll"><f:WSManFault Code="%d" Machine="winrmsim"><f:Message>%s</f:Message></f:WSManFault></f:ProviderFault>`,
			escape(f.Provider), f.Code, message)
	}
	return fmt.Sprintf(`<s:Fault><s:Code><s:Value>%s</s:Value><s:Subcode><s:Value>%s</s:Value></s:Subcode></s:Code>`+
		`<s:Reason><s:Text xml:lang="en-US">%s</s:Text></s:Reason><s:Detail>%s<f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" Code="%d" Machine="winrmsim">`+
		`<f:Message>%s</f:Message></f:WSManFault></s:Detail></s:Fault>`, who, f.Subcode, escape(f.Text), f.Detail, f.Code, message)
}
