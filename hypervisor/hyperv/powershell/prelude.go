package powershell

import (
	_ "embed" // the scripts
	"encoding/base64"
	"encoding/binary"
	"unicode/utf16"
)

// Prelude is the script that each of ours runs in: it offers $Request, takes one object,
// makes an error record a document, and writes the answer between the sentinels.
//
//go:embed prelude.ps1
var Prelude string

// bootstrap is what stands on the command line. It reads standard input with $input, since
// powershell.exe itself reads what is redirected to it and a script that opened the
// console's input would race with it; Ansible's WinRM and SSH connections do the same.
// Whatever goes in and out is ASCII, so that no code page can spoil it.
//
//go:embed bootstrap.ps1
var bootstrap string

// The exit codes of the bootstrap.
const (
	// ExitNotWhole: standard input ended early, and nothing was run.
	ExitNotWhole = 91
	// ExitLanguage: the language mode is not FullLanguage, and nothing was run.
	ExitLanguage = 92
)

// Program is what is started at the computer.
const Program = "powershell.exe"

// Arguments are those of Program; they are the same for each script. None needs quotes,
// in cmd.exe or elsewhere.
func Arguments() []string {
	return []string{"-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-EncodedCommand", encodeCommand(bootstrap)}
}

// encodeCommand is powershell.exe's -EncodedCommand: Base64 of UTF-16LE.
func encodeCommand(script string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(script)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return base64.StdEncoding.EncodeToString(b)
}
