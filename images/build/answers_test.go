package build_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ingot/images/build"
)

// answerFile writes the answers of an example to a file.
func answerFile(t *testing.T, recipe string) string {
	t.Helper()
	r, err := build.EmbeddedRecipe(recipe)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "answers")
	if err := os.WriteFile(path, []byte(r.Source.Installer.Answer), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestAutoinstallSchema: cloud-init takes the user data of Ubuntu's example, and refuses one
// that is wrong. It is the real one, unpacked and not installed.
func TestAutoinstallSchema(t *testing.T) {
	root := os.Getenv("INGOT_TEST_TOOLS")
	if root == "" {
		t.Skip("needs Debian's cloud-init in INGOT_TEST_TOOLS (scripts/setup test)")
	}
	check := func(path string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-m", "cloudinit.cmd.main", "schema", "--config-file", path)
		cmd.Env = append(os.Environ(), "PYTHONPATH="+filepath.Join(root, "usr/lib/python3/dist-packages"), "PYTHONDONTWRITEBYTECODE=1")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	path := answerFile(t, "ubuntu-24.04-installer")
	if out, err := check(path); err != nil || !strings.Contains(out, "Valid cloud-config") {
		t.Errorf("cloud-init schema: %v: %s", err, out)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(data), "version: 1", "version: one", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := check(path); err == nil || !strings.Contains(out, "autoinstall.version: 'one' is not of type 'integer'") {
		t.Errorf("a version that is no number: %v: %s", err, out)
	}
}

// TestUnattendByXMLLint asks libxml2 for what Windows' setup must find in the answers.
func TestUnattendByXMLLint(t *testing.T) {
	if _, err := exec.LookPath("xmllint"); err != nil {
		t.Skipf("needs xmllint (Debian: libxml2-utils): %v", err)
	}
	path := answerFile(t, "windows-2022-installer")
	for query, want := range map[string]string{
		"count(//*[local-name()='settings'][not(contains('windowsPE specialize oobeSystem',@pass))])":                       "0",
		"string(//*[@pass='windowsPE']/*[@name='Microsoft-Windows-Setup']//*[local-name()='InstallTo']/*[2])":               "3",
		"string(//*[local-name()='ModifyPartition'][*[local-name()='PartitionID']=3]/*[local-name()='Format'])":             "NTFS",
		"string(//*[local-name()='CreatePartition'][1]/*[local-name()='Type'])":                                             "EFI",
		"string(//*[local-name()='AcceptEula'])":                                                                            "true",
		"contains(//*[@pass='oobeSystem']//*[local-name()='SynchronousCommand']/*[local-name()='CommandLine'],'/shutdown')": "true",
		"count(//*[local-name()='component'][not(@processorArchitecture='amd64' and @publicKeyToken='31bf3856ad364e35')])":  "0",
	} {
		out, err := exec.CommandContext(t.Context(), "xmllint", "--xpath", query, path).CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", query, got, err, want)
		}
	}
}
