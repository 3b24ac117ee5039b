package agent

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ingot/pxe/agentapi"
)

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
