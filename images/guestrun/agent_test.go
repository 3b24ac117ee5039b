package guestrun

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/google/go-cmp/cmp"
)

// localGuest runs the guest's script on this computer, over a socket in place of the
// port, and returns the host's end.
func localGuest(t *testing.T) *channel {
	t.Helper()
	dir := t.TempDir()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "host"), os.NewFile(uintptr(pair[1]), "guest")
	conn, err := net.FileConn(ours)
	if err != nil {
		t.Fatal(err)
	}
	ours.Close()
	_, body, ok := strings.Cut(agent, "say \"channel open\"\n")
	if !ok {
		t.Fatal("the script has no place where the channel opens")
	}
	script := filepath.Join(dir, "agent")
	if err := os.WriteFile(script, []byte("dir="+dir+"\nbeat=0.05\n"+body), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", script)
	cmd.ExtraFiles = []*os.File{theirs} // 3
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	c := newChannel(conn)
	t.Cleanup(func() {
		c.close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("agent: %v", err)
		}
	})
	return c
}

// TestAgent checks what the guest's script makes of commands.
func TestAgent(t *testing.T) {
	c := localGuest(t)
	for _, tt := range []struct {
		name string
		cmd  Command
		want answer
	}{
		{"status and both streams", Command{Script: "echo out; echo err >&2; exit 3"}, answer{3, 0, []byte("out\nerr\n")}},
		{"interpreter and environment", Command{Script: "set -u\necho \"$A\"\nexit 0", Interpreter: "/bin/sh -e", Env: map[string]string{"A": "it's\na 'quoted' $value"}}, answer{0, 0, []byte("it's\na 'quoted' $value\n")}},
		{"no input", Command{Script: "cat; pwd"}, answer{0, 0, []byte("/\n")}},
		{"bytes", Command{Script: `printf '\000\377\n'`}, answer{0, 0, []byte("\x00\xff\n")}},
		{"exactly as much as asked for", Command{Script: "head -c 1024 /dev/zero | tr '\\0' x", MaxOutputBytes: 1024}, answer{0, 0, []byte(strings.Repeat("x", 1024))}},
		{"too much output", Command{Script: "head -c 1000000 /dev/zero | tr '\\0' x && echo done > \"$INGOT_DIR/../complete\"", MaxOutputBytes: 1000}, answer{0, 24, []byte(strings.Repeat("x", 1000))}},
		{"not ended by too much output", Command{Script: "cat \"$INGOT_DIR/../complete\""}, answer{0, 0, []byte("done\n")}},
		{"time limit", Command{Script: "echo begun; sleep 60", Timeout: time.Second}, answer{124, 0, []byte("begun\n")}},
		{"a daemon keeps the output", Command{Script: "sleep 4 & echo started"}, answer{0, 0, []byte("started\n")}},
		{"no such interpreter", Command{Script: "x", Interpreter: "/nowhere/x"}, answer{127, 0, nil}},
		{"no last newline", Command{Script: "printf a"}, answer{0, 0, []byte("a")}},
		{"a large script", Command{Script: strings.Repeat("# "+strings.Repeat("x", 97)+"\n", 1000) + "echo large"}, answer{0, 0, []byte("large\n")}},
	} {
		var got answer
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		err := c.use(ctx, func() (err error) {
			got, err = c.do(tt.cmd, func() {})
			return err
		})
		cancel()
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if tt.want.status == 127 {
			got.output = nil // the shell's words
		}
		if diff := cmp.Diff(string(tt.want.output), string(got.output)); diff != "" || got.status != tt.want.status || got.dropped != tt.want.dropped {
			t.Errorf("%s: status %d, %d dropped, want %d, %d; output (-want +got):\n%s", tt.name, got.status, got.dropped, tt.want.status, tt.want.dropped, diff)
		}
	}
}
