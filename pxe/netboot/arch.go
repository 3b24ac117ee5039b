package netboot

import "fmt"

// Client architectures of DHCP option 93 (RFC 4578 section 2.1, and the IANA registry
// of processor architecture types, which swapped 7 and 9 against the RFC: both are
// x64 UEFI in the field).
const (
	ArchBIOS      = 0
	ArchEFIIA32   = 6
	ArchEFIBC     = 7
	ArchEFIX64    = 9
	ArchEFIARM32  = 10
	ArchEFIARM64  = 11
	ArchHTTPIA32  = 15
	ArchHTTPX64   = 16
	ArchHTTPEBC   = 17
	ArchHTTPARM32 = 18
	ArchHTTPARM64 = 19
)

var archNames = map[int]string{
	ArchBIOS: "BIOS", ArchEFIIA32: "32-bit UEFI", ArchEFIBC: "UEFI", ArchEFIX64: "UEFI", ArchEFIARM32: "32-bit ARM UEFI",
	ArchEFIARM64: "ARM64 UEFI", ArchHTTPIA32: "32-bit UEFI HTTP boot", ArchHTTPX64: "UEFI HTTP boot", ArchHTTPEBC: "UEFI HTTP boot",
	ArchHTTPARM32: "32-bit ARM UEFI HTTP boot", ArchHTTPARM64: "ARM64 UEFI HTTP boot",
}

// ArchName is an architecture in words.
func ArchName(arch int) string {
	if name, ok := archNames[arch]; ok {
		return name
	}
	return fmt.Sprintf("unknown architecture %d", arch)
}
