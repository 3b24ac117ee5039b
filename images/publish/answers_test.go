package publish

import (
	"os/exec"
	"strings"
	"testing"

	"ingot/images/build"
)

// TestAnswerDisk has util-linux and mtools read what installers look for.
func TestAnswerDisk(t *testing.T) {
	for _, tool := range []string{"blkid", "mformat", "mtype", "mdir"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s: %v", tool, err)
		}
	}
	for _, tt := range []struct {
		kind        build.InstallerKind
		name, label string
		files       string
	}{
		{build.InstallerAutoinstall, "user-data", "CIDATA", "::/meta-data ::/user-data"},
		{build.InstallerKickstart, "ks.cfg", "OEMDRV", "::/ks.cfg"},
	} {
		disk, err := answerDisk(t.Context(), t.TempDir(), build.Installation{Kind: tt.kind, AnswerName: tt.name, Answer: []byte("the answers\n")})
		if err != nil {
			t.Fatal(err)
		}
		for _, ask := range []struct{ command, want string }{
			{"blkid -p -o value -s LABEL " + disk, tt.label},
			{"blkid -p -o value -s TYPE " + disk, "vfat"},
			{"mtype -i " + disk + " ::" + tt.name, "the answers"},
			{"mdir -b -i " + disk + " ::", tt.files},
		} {
			args := strings.Fields(ask.command)
			out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput()
			if got := strings.Join(strings.Fields(string(out)), " "); err != nil || got != ask.want {
				t.Errorf("%s: %s: %q, %v, want %q", tt.kind, ask.command, got, err, ask.want)
			}
		}
	}
	if disk, err := answerDisk(t.Context(), t.TempDir(), build.Installation{Kind: build.InstallerPreseed}); disk != "" || err != nil {
		t.Errorf("a preseed is in the initrd: %q, %v", disk, err)
	}
}
