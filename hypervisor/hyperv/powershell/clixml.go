package powershell

import (
	"bytes"
	"encoding/xml"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// clixmlMark begins what powershell.exe writes to a standard error that is no console.
const clixmlMark = "#< CLIXML"

// errorText makes plain text of a standard error: of CLIXML's strings (errors, warnings),
// and of what stands outside as it is. Progress is left out.
func errorText(stderr []byte) string {
	var b strings.Builder
	for {
		before, after, found := bytes.Cut(stderr, []byte(clixmlMark))
		b.Write(before)
		if !found {
			break
		}
		stderr = stringsOf(&b, after)
	}
	return strings.Join(strings.Fields(strings.ToValidUTF8(b.String(), "?")), " ")
}

// stringsOf writes the strings of the documents at the start of b, and returns what
// follows them. Of a document that is broken, the rest is taken as text.
func stringsOf(out *strings.Builder, b []byte) (rest []byte) {
	for {
		trimmed := bytes.TrimLeft(b, " \r\n")
		if !bytes.HasPrefix(trimmed, []byte("<Objs")) {
			return b
		}
		d := xml.NewDecoder(bytes.NewReader(trimmed))
		var doc struct {
			Strings []string `xml:"S"`
		}
		if err := d.Decode(&doc); err != nil {
			return trimmed
		}
		for _, s := range doc.Strings {
			out.WriteString(unescape(s))
			out.WriteByte('\n')
		}
		b = trimmed[d.InputOffset():]
	}
}

// escapes are CLIXML's of UTF-16 units (MS-PSRP 2.2.5.3.2).
var escapes = regexp.MustCompile(`_x([0-9A-Fa-f]{4})_`)

func unescape(s string) string {
	return escapes.ReplaceAllStringFunc(s, func(m string) string {
		n, _ := strconv.ParseUint(m[2:6], 16, 16) // four hex digits, by the expression
		if r := rune(n); utf8.ValidRune(r) {
			return string(r)
		}
		return "?"
	})
}
