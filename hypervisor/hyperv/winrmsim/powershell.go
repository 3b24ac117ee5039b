package winrmsim

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"ingot/hypervisor/hyperv/powershell"
)

// Scripts does the work of our scripts: it gets one's text without the prelude and its
// request, and returns the envelope that the prelude would have made (Result and Failure
// make one) and the exit code. A nil answer is a powershell.exe that died on the way. The script
// powershell.Probe is answered without it.
type Scripts func(ctx context.Context, script string, request []byte) (answer []byte, exit int)

// PowerShell is a powershell.exe that knows one command line: that of package powershell.
// Any other is refused as a line that can't be parsed.
func PowerShell(run Scripts) Handler { return NoisyPowerShell(run, "", "") }

// NoisyPowerShell also writes something before and after the answer, as profiles,
// progress bars and programs do.
func NoisyPowerShell(run Scripts, before, after string) Handler {
	return func(ctx context.Context, p Process) int {
		if !isBootstrap(p) {
			fmt.Fprint(p.Stderr, clixml("The command line is not the bootstrap's.", "CommandNotFoundException"))
			return 1
		}
		in, err := readInput(p.Stdin)
		if err != nil {
			return powershell.ExitNotWhole
		}
		answer, exit := Result(map[string]string{"computer": computerName, "version": "5.1.17763.1"}), 0
		if in.script != powershell.Probe.Text {
			answer, exit = run(ctx, in.script, in.request)
		}
		if ctx.Err() != nil {
			return 1
		}
		fmt.Fprint(p.Stdout, before)
		if answer == nil {
			fmt.Fprint(p.Stderr, clixml("Stopped on the way.", "RuntimeException"))
			return exit
		}
		fmt.Fprint(p.Stdout, frame(in.nonce, answer), after)
		return exit
	}
}

// isBootstrap compares words: some clients send all arguments as one, or the whole line as
// the command.
func isBootstrap(p Process) bool {
	words := strings.Fields(p.Command + " " + strings.Join(p.Args, " "))
	return len(words) > 0 && strings.EqualFold(words[0], powershell.Program) && slices.Equal(words[1:], powershell.Arguments())
}

type input struct {
	nonce, script string
	request       []byte
}

// readInput reads what the bootstrap reads: a nonce, prelude, script and request in
// Base64, and the nonce again.
func readInput(r io.Reader) (input, error) {
	scan := bufio.NewScanner(r)
	scan.Buffer(nil, 64<<20)
	var lines []string
	for scan.Scan() {
		lines = append(lines, scan.Text())
	}
	if scan.Err() != nil || len(lines) != 5 || lines[0] != lines[4] {
		return input{}, fmt.Errorf("%d lines, %v", len(lines), scan.Err())
	}
	var texts [3][]byte
	for i := range texts {
		text, err := base64.StdEncoding.DecodeString(lines[i+1])
		if err != nil {
			return input{}, err
		}
		texts[i] = text
	}
	if string(texts[0]) != powershell.Prelude {
		return input{}, fmt.Errorf("the prelude is another one")
	}
	return input{nonce: lines[0], script: string(texts[1]), request: texts[2]}, nil
}

// frame is what the prelude writes: lines of 76 characters (Base64FormattingOptions.
// InsertLineBreaks) that end with CR LF.
func frame(nonce string, answer []byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\r\n<<<ingot %s\r\n", nonce)
	for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(answer)), 76) {
		fmt.Fprintf(&b, "%s\r\n", line)
	}
	fmt.Fprintf(&b, "ingot>>> %s\r\n", nonce)
	return b.String()
}

// Result is the envelope of a script that returned something.
func Result(v any) []byte { return envelope(map[string]any{"ok": true, "result": v}) }

// Failure is the envelope of a script that an error record ended.
func Failure(e powershell.Error) []byte { return envelope(map[string]any{"ok": false, "error": e}) }

func envelope(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("winrmsim: " + err.Error()) // a test's own value
	}
	return b
}

// clixml is an error as powershell.exe writes it to a standard error that is no console.
func clixml(message, id string) string {
	var b bytes.Buffer
	b.WriteString("#< CLIXML\r\n<Objs Version=\"1.1.0.1\" xmlns=\"http://schemas.microsoft.com/powershell/2004/04\">")
	fmt.Fprintf(&b, "<S S=\"Error\">powershell.exe : %s_x000D__x000A_</S>", message)
	fmt.Fprintf(&b, "<S S=\"Error\">    + FullyQualifiedErrorId : %s_x000D__x000A_</S></Objs>", id)
	return b.String()
}
