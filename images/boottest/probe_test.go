package boottest

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"ingot/images/guestrun"
	"ingot/inventory"
)

func TestJudges(t *testing.T) {
	s := &subject{grown: 4000 << 20}
	now := time.Unix(1_800_000_000, 0)
	clock := func(r guestrun.Result) (bool, string) { return judgeClock(r, now) }
	expect := Check{Name: "x", Command: "x", ExitCode: 2, Expect: regexp.MustCompile("^yes$")}.probe().judge
	for _, tt := range []struct {
		name   string
		judge  func(guestrun.Result) (bool, string)
		status int
		output string
		passed bool
		detail string
	}{
		{"root grown", s.judgeRoot, 0, "4304404480 4194304000\n", true, "4000 MiB on a partition of 4105 MiB"},
		{"partition not grown", s.judgeRoot, 0, "2147483648 2094304000\n", false, "should have 4000 MiB"},
		{"file system not grown", s.judgeRoot, 0, "4304404480 2094304000\n", false, "it was not grown"},
		{"root unknown", s.judgeRoot, 0, "cat: no\n", false, "not known"},
		{"units", judgeUnits, 0, "", true, "none failed"},
		{"failed units", judgeUnits, 1, "a.service b.service\na.service:\nboo\n", false, "a.service b.service\n"},
		{"key", judgeKey, 0, "/root/.ssh/authorized_keys\n/home/x/.ssh/authorized_keys\n", true, "/root/.ssh/authorized_keys, /home"},
		{"no key", judgeKey, 0, "", false, "no user's"},
		{"host keys", judgeHostKeys, 0, "4\n", true, "4 keys"},
		{"old host keys", judgeHostKeys, 1, "/etc/ssh/k is older than this boot: it came with the image\n", false, "came with the image"},
		{"same", same("host name", "a"), 0, "a\n", true, "a"},
		{"another", same("host name", "a"), 0, "\x1b[1mb\n", false, `host name "b", want "a"`},
		{"clock", clock, 0, "1800000030\n", true, "30s"},
		{"clock in 1970", clock, 0, "100\n", false, "from this host's"},
		{"clock of words", clock, 0, "noon\n", false, "not known"},
		{"own check", expect, 2, "yes", true, "yes"},
		{"own check, line break", expect, 2, "yes\n", true, "yes"},
		{"own check, more lines", expect, 2, "yes\nno\n", false, `does not match "^yes$": yes`},
		{"own check, status", expect, 0, "yes", false, "exit status 0, want 2: yes"},
		{"own check, output", expect, 2, "no", false, `does not match "^yes$": no`},
	} {
		passed, detail := tt.judge(guestrun.Result{ExitCode: tt.status, Output: tt.output})
		if passed != tt.passed || !strings.Contains(detail, tt.detail) {
			t.Errorf("%s: %v, %q; want %v, %q", tt.name, passed, detail, tt.passed, tt.detail)
		}
	}
	if passed, detail := expect(guestrun.Result{TimedOut: true, ExitCode: 124}); passed || !strings.Contains(detail, "in time") {
		t.Errorf("time out: %v, %q", passed, detail)
	}
}

func TestRefuses(t *testing.T) {
	good := Options{Image: inventory.Image{Name: "x", SizeBytes: 1 << 20}, Mode: "bios", Dir: t.TempDir(), Open: func(context.Context) (string, string, error) { return "", "", errors.New("never") }}
	for name, change := range map[string]func(*Options){
		"mode":  func(o *Options) { o.Mode = "efi" },
		"size":  func(o *Options) { o.Image.SizeBytes = 0 },
		"check": func(o *Options) { o.Checks = []Check{{Command: "\x00"}} },
	} {
		o := good
		change(&o)
		if _, _, err := Test(t.Context(), o); !errors.Is(err, inventory.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	if _, _, err := Test(t.Context(), good); err == nil || !strings.Contains(err.Error(), "open image: never") {
		t.Errorf("%v, want what Open said", err)
	}
}

// TestVerdict checks that what was not checked is said, and does not count as passed.
func TestVerdict(t *testing.T) {
	r := &run{o: &Options{}}
	r.add("a", true, "fine")
	r.add("b", false, "wrong\nmore")
	r.add("c", false, strings.Repeat("x", 3000))
	r.skip("d", "no systemd")
	got := r.verdict()
	if r.problem != "b: wrong" || names(got) != "a, b, c, not checked" || got[3].Detail != "d (no systemd)" || len(got[2].Detail) > maxDetailBytes+5 {
		t.Errorf("%q, %+v", r.problem, got)
	}
}
