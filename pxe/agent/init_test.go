package agent

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ingot/pxe/agentapi"
)

// TestCrashTail: a crash is found however what is printed is cut into pieces.
func TestCrashTail(t *testing.T) {
	const before, crash = "an ordinary line with panic: in it\nSI and more\n\n", "panic: boom\n\ngoroutine 1 [running]:\n"
	for size := 1; size <= len(before+crash); size++ {
		var console bytes.Buffer
		tail := &crashTail{console: &console}
		for piece := range slices.Chunk([]byte(before+crash), size) {
			if n, err := tail.Write(piece); n != len(piece) || err != nil {
				t.Fatal(n, err)
			}
		}
		if string(tail.crash) != crash || console.String() != before+crash {
			t.Errorf("pieces of %d bytes: kept %q, printed %q", size, tail.crash, console.String())
		}
	}
}

// TestCrash lets a real Go program crash into the tail, in the pieces in which the
// runtime prints.
func TestCrash(t *testing.T) {
	if os.Getenv("INGOT_TEST_CRASH") != "" {
		println("an ordinary line with panic: in it")
		panic("boom")
	}
	var console bytes.Buffer
	tail := &crashTail{console: &console}
	cmd := exec.Command(os.Args[0], "-test.run=TestCrash$")
	cmd.Env = append(os.Environ(), "INGOT_TEST_CRASH=1")
	cmd.Stderr = tail
	cmd.Stdout = tail
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("it ended with %v", err)
	}
	kmsg := filepath.Join(t.TempDir(), "kmsg")
	if err := os.WriteFile(kmsg, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := tail.toKernel(kmsg, err); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(kmsg)
	if err != nil {
		t.Fatal(err)
	}
	line, ok := agentapi.PanicLine(text)
	if !ok || !strings.Contains(line, "panic: boom") {
		t.Errorf("the server would tell %q of:\n%s", line, text)
	}
	for _, want := range []string{"<2>ingot-agent: goroutine ", "TestCrash", "<2>ingot-agent: agent ended: exit status 2\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
	if !strings.Contains(console.String(), "ordinary line") || len(text) > 2*crashBytes {
		t.Errorf("console has %d bytes, the kernel's log %d", console.Len(), len(text))
	}
}
