package dhcp

import (
	"fmt"
	"strconv"
	"strings"
)

// Arch is a client's processor architecture and boot protocol: option 93, RFC 4578
// section 2.1 as extended by the IANA registry.
type Arch uint16

// The architectures that have a meaning here. EBC (9) is sent by many x64 machines.
const (
	ArchBIOS      Arch = 0
	ArchIA32      Arch = 6
	ArchX64       Arch = 7
	ArchEBC       Arch = 9
	ArchARM32     Arch = 10
	ArchARM64     Arch = 11
	ArchIA32HTTP  Arch = 15
	ArchX64HTTP   Arch = 16
	ArchEBCHTTP   Arch = 17
	ArchARM32HTTP Arch = 18
	ArchARM64HTTP Arch = 19
	ArchBIOSHTTP  Arch = 20
	ArchUBoot32   Arch = 21
	ArchUBoot64   Arch = 22
)

var archNames = map[Arch]string{
	ArchBIOS: "BIOS", ArchIA32: "UEFI IA32", ArchX64: "UEFI x64", ArchEBC: "UEFI x64 (EBC)",
	ArchARM32: "UEFI ARM32", ArchARM64: "UEFI arm64", ArchIA32HTTP: "UEFI IA32 HTTP",
	ArchX64HTTP: "UEFI x64 HTTP", ArchEBCHTTP: "UEFI x64 (EBC) HTTP", ArchARM32HTTP: "UEFI ARM32 HTTP",
	ArchARM64HTTP: "UEFI arm64 HTTP", ArchBIOSHTTP: "BIOS HTTP", ArchUBoot32: "U-Boot ARM32",
	ArchUBoot64: "U-Boot arm64",
}

// String is a name for people: "UEFI x64", or "architecture 99".
func (a Arch) String() string {
	if name, ok := archNames[a]; ok {
		return name
	}
	return fmt.Sprintf("architecture %d", uint16(a))
}

// Known reports whether the architecture is one of the constants.
func (a Arch) Known() bool {
	_, ok := archNames[a]
	return ok
}

// IsBIOS reports whether the client is a BIOS option ROM: the only ones that are told
// by option 43 to skip boot server discovery.
func (a Arch) IsBIOS() bool { return a == ArchBIOS || a == ArchBIOSHTTP }

// archFromClass reads the number in "PXEClient:Arch:00007:UNDI:003016", which all PXE
// clients send; ROMs older than RFC 4578 have no option 93.
func archFromClass(class string) (Arch, bool) {
	_, rest, ok := strings.Cut(class, ":Arch:")
	if !ok {
		return 0, false
	}
	digits, _, _ := strings.Cut(rest, ":")
	n, err := strconv.ParseUint(digits, 10, 16)
	return Arch(n), err == nil
}
