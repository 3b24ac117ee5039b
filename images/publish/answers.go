package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"ingot/images/build"
)

// answerLabels are the file-system labels by which installers find the disk with their
// answers: cloud-init's NoCloud for Ubuntu's (lower or upper case), Anaconda's for a
// kickstart ("Automating the installation with a Kickstart file" of RHEL 9: OEMDRV).
var answerLabels = map[build.InstallerKind]string{build.InstallerAutoinstall: "CIDATA", build.InstallerKickstart: "OEMDRV"}

// answerBytes is the size of the disk with the answers; FAT's smallest is well below.
const answerBytes = 4 << 20

// answerDisk makes a FAT file system with the answer file in a folder, and returns its
// path; empty for an installer that finds its answers elsewhere.
func answerDisk(ctx context.Context, dir string, i build.Installation) (string, error) {
	label, ok := answerLabels[i.Kind]
	if !ok {
		return "", nil
	}
	files := map[string][]byte{i.AnswerName: i.Answer}
	if i.Kind == build.InstallerAutoinstall {
		files["meta-data"] = nil // without it the seed is none
	}
	disk := filepath.Join(dir, "answers.img")
	if err := errors.Join(os.WriteFile(disk, nil, 0o600), os.Truncate(disk, answerBytes)); err != nil {
		return "", err
	}
	if err := mtool(ctx, "mformat", "-i", disk, "-v", label, "::"); err != nil {
		return "", err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, files[name], 0o600); err != nil {
			return "", err
		}
		if err := mtool(ctx, "mcopy", "-i", disk, file, "::"+name); err != nil {
			return "", err
		}
	}
	return disk, nil
}

// mtool runs one of mtools.
func mtool(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "MTOOLS_SKIP_CHECK=1", "MTOOLSRC=/dev/null")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make the disk with the answers: %s: %w: %s", name, err, out)
	}
	return nil
}
