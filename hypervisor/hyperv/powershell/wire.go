package powershell

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"

	"ingot/inventory"
)

// requestMax is what ConvertFrom-Json of Windows PowerShell takes: its
// JavaScriptSerializer's MaxJsonLength is 2,097,152 characters. Half of it is plenty.
const requestMax = 1 << 20

// The errors of an answer that is not whole.
var (
	errNoAnswer  = errors.New("no answer")
	errCutAnswer = errors.New("the answer is not whole")
)

// newNonce is what makes the sentinels of one run unlike anything else.
func newNonce() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// encodeInput is what goes to standard input, in lines of ASCII: the nonce; prelude, script
// and request in Base64; and the nonce again, without which nothing is run.
func encodeInput(nonce string, s Script, request []byte) ([]byte, error) {
	if len(request) > requestMax {
		return nil, inventory.Invalid("request of script %s has %d bytes (want %d at most)", s.Name, len(request), requestMax)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n", nonce)
	for _, text := range [][]byte{[]byte(Prelude), []byte(s.Text), request} {
		fmt.Fprintf(&b, "%s\n", base64.StdEncoding.EncodeToString(text))
	}
	fmt.Fprintf(&b, "%s\n", nonce)
	return b.Bytes(), nil
}

// findAnswer takes what the prelude wrote out of standard output. What is outside is
// returned apart.
func findAnswer(nonce string, stdout []byte) (answer, outside []byte, err error) {
	var text []byte
	err = errNoAnswer
	for line := range bytes.Lines(stdout) {
		bare := bytes.TrimRight(line, "\r\n")
		switch {
		case errors.Is(err, errNoAnswer) && string(bare) == "<<<ingot "+nonce:
			err = errCutAnswer
		case errors.Is(err, errCutAnswer) && string(bare) == "ingot>>> "+nonce:
			err = nil
		case errors.Is(err, errCutAnswer):
			text = append(text, bare...)
		default:
			outside = append(outside, line...)
		}
	}
	if err != nil {
		return nil, outside, err
	}
	answer, err = base64.StdEncoding.DecodeString(string(text))
	if err != nil {
		return nil, outside, fmt.Errorf("%w: %w", errCutAnswer, err)
	}
	return answer, outside, nil
}
