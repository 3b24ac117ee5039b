package powershell

import (
	"errors"
	"fmt"
	"strings"

	"ingot/inventory"
)

// stderrMax is how much of a standard error is kept.
const stderrMax = 64 << 10

var errTooMuch = fmt.Errorf("the script wrote more than %d MiB", outputMax>>20)

// The fault codes that are acted on (wsmerror.h of the Windows SDK).
const (
	codeTimedOut       = 2150858793 // nothing within OperationTimeout
	codeNotFound       = 2150858843 // invalid selectors: no such shell or command
	codeShells         = 2150859173 // ERROR_WSMAN_QUOTA_MAX_SHELLS
	codeOperations     = 2150859174 // ERROR_WSMAN_QUOTA_MAX_OPERATIONS
	codeOperationsUser = 2150859240 // ERROR_WSMAN_QUOTA_MAX_OPERATIONS_USER_PPQ
	codeAborted        = 995        // ERROR_OPERATION_ABORTED
	codeAccessDenied   = 5          // ERROR_ACCESS_DENIED
)

// fault is a SOAP fault.
type fault struct {
	subcode string
	code    uint32
	text    string
}

// Error implements error.
func (f *fault) Error() string {
	if advice := known[f.code].advice; advice != "" {
		return fmt.Sprintf("%s (WS-Management fault %d): %s", f.text, f.code, advice)
	}
	return fmt.Sprintf("%s (WS-Management fault %d, %s)", f.text, f.code, f.subcode)
}

// Unwrap is the fault's class.
func (f *fault) Unwrap() error {
	if class := known[f.code].class; class != nil {
		return class
	}
	switch f.subcode {
	case "AccessDenied":
		return inventory.ErrDenied
	case "QuotaLimit", "Concurrency":
		return inventory.ErrBusy
	case "EncodingLimit":
		return inventory.ErrUnsupported
	}
	return nil
}

type meaning struct {
	class  error
	advice string
}

// known are the faults that come with advice. The settings are those of "Installation and
// configuration for Windows Remote Management"; Windows ignores WinRS's in favour of the
// plugin's quotas where those are lower.
var known = map[uint32]meaning{
	codeAborted:        {inventory.ErrBusy, ""},
	codeNotFound:       {inventory.ErrBusy, ""},
	codeAccessDenied:   {inventory.ErrDenied, "the login is good and may not use remote shells: put it into the host's groups Remote Management Users and Hyper-V Administrators, or Administrators"},
	2150859180:         {inventory.ErrDenied, "remote shells are off: winrm set winrm/config/winrs @{AllowRemoteShellAccess=\"true\"}"},
	codeShells:         {inventory.ErrBusy, "end shells that are left over, or raise the limit: winrm set winrm/config/winrs @{MaxShellsPerUser=\"30\"}"},
	2150859236:         {inventory.ErrBusy, "end shells that are left over, or raise MaxShellsPerUser"},
	2150859238:         {inventory.ErrBusy, "end shells that are left over, or raise the plugin's MaxShells"},
	codeOperations:     {inventory.ErrBusy, "raise the limit: winrm set winrm/config/service @{MaxConcurrentOperationsPerUser=\"1500\"}"},
	codeOperationsUser: {inventory.ErrBusy, "raise the limit: winrm set winrm/config/service @{MaxConcurrentOperationsPerUser=\"1500\"}"},
	2150859239:         {inventory.ErrBusy, "raise the plugin's MaxConcurrentOperations"},
	2150859241:         {inventory.ErrBusy, "raise the limit: winrm set winrm/config/winrs @{MaxProcessesPerShell=\"25\"}"},
	2150859179:         {inventory.ErrBusy, "raise the limit: winrm set winrm/config/winrs @{MaxConcurrentUsers=\"10\"}"},
	2150859237:         {inventory.ErrBusy, "raise the limit: winrm set winrm/config/winrs @{MaxConcurrentUsers=\"10\"}"},
	2150859175:         {inventory.ErrBusy, "this user's share of the service is used up"},
	2150859176:         {inventory.ErrBusy, "the service is at its limit"},
	2150858815:         {inventory.ErrBusy, "a quota of the service is used up"},
	2150858790:         {inventory.ErrUnsupported, adviceEnvelope}, // ERROR_WSMAN_ENVELOPE_TOO_LARGE
	2150858823:         {inventory.ErrUnsupported, adviceEnvelope}, // ERROR_WSMAN_MAX_ENVELOPE_SIZE
	2150858824:         {inventory.ErrUnsupported, adviceEnvelope}, // ERROR_WSMAN_MAX_ENVELOPE_SIZE_EXCEEDED
}

const adviceEnvelope = "the host takes smaller messages than it does by default; raise the limit: winrm set winrm/config @{MaxEnvelopeSizekb=\"500\"}"

// fault makes an error of a fault; a plugin's is taken for the whole one.
func (f *soapFault) fault() *fault {
	w, text := &f.WSMan, f.Reason
	for w.Message.Provider != nil {
		w = w.Message.Provider
	}
	if inner := strings.Join(strings.Fields(w.Message.Text), " "); inner != "" {
		text = inner
	}
	_, subcode, _ := strings.Cut(strings.TrimSpace(f.Subcode), ":")
	return &fault{subcode: subcode, code: w.Code, text: quote(strings.Join(strings.Fields(text), " "))}
}

// isFault tells whether an error is a fault of one of these codes; any, with none.
func isFault(err error, codes ...uint32) bool {
	var f *fault
	if !errors.As(err, &f) {
		return false
	}
	for _, c := range codes {
		if f.code == c {
			return true
		}
	}
	return len(codes) == 0
}
