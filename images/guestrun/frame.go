package guestrun

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Bounds of the channel.
const (
	maxLineBytes   = 4096
	maxScriptBytes = 512 << 10
	// MaxOutputBytes is the most that a command may send back.
	MaxOutputBytes = 4 << 20
	// maxIdleLines is how many lines that mean nothing are passed over in one wait:
	// what an earlier command left, and signs of life.
	maxIdleLines = 10_000
)

// readLine returns the next line without its end. One that is too long is the guest's
// failure.
func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", guestErrorf("the guest sent a line of more than %d bytes on the channel", maxLineBytes)
	}
	if err != nil {
		return "", err
	}
	return string(bytes.TrimRight(line, "\r\n")), nil
}

// readUntil passes over lines until one has the words given first, and returns the rest.
func readUntil(r *bufio.Reader, heard func(), words ...string) ([]string, error) {
	for range maxIdleLines {
		line, err := readLine(r)
		if err != nil {
			return nil, err
		}
		heard()
		if fields := strings.Fields(line); len(fields) >= len(words) && strings.Join(fields[:len(words)], " ") == strings.Join(words, " ") {
			return fields[len(words):], nil
		}
	}
	return nil, guestErrorf("the guest sent %d lines on the channel that are no answer", maxIdleLines)
}

// answer is what came back from a command.
type answer struct {
	status  int
	dropped int64
	output  []byte
}

// readAnswer reads the answer of a command whose output has at most maxOutput bytes.
func readAnswer(r *bufio.Reader, heard func(), id string, maxOutput int) (answer, error) {
	head, err := readUntil(r, heard, "done", id)
	if err != nil {
		return answer{}, err
	}
	a, err := parseHead(head)
	if err != nil {
		return answer{}, err
	}
	end := "end " + id
	var text bytes.Buffer
	for {
		line, err := readLine(r)
		if err != nil {
			return answer{}, err
		}
		heard()
		if line == end {
			break
		}
		if text.WriteString(line); text.Len() > base64.StdEncoding.EncodedLen(maxOutput) || line == "" {
			return answer{}, guestErrorf("the guest sent more output than the %d bytes it was asked for, or an empty line", maxOutput)
		}
	}
	a.output, err = io.ReadAll(base64.NewDecoder(base64.StdEncoding, &text))
	if err != nil {
		return answer{}, guestErrorf("the guest sent output that is not base64: %v", err)
	}
	return a, nil
}

func parseHead(head []string) (answer, error) {
	if len(head) == 2 {
		status, err1 := strconv.ParseUint(head[0], 10, 8)
		dropped, err2 := strconv.ParseInt(head[1], 10, 64)
		if err1 == nil && err2 == nil && dropped >= 0 {
			return answer{status: int(status), dropped: dropped}, nil
		}
	}
	return answer{}, guestErrorf("the guest answered %.80q, want a status and a number", strings.Join(head, " "))
}

// request is what a command is sent as.
func request(id string, seconds, maxOutput int, script []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "run %s %d %d\n", id, seconds, maxOutput)
	text := base64.StdEncoding.EncodeToString(script)
	for len(text) > 0 {
		n := min(len(text), 76)
		b.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	b.WriteString(".\n")
	return b.Bytes()
}
