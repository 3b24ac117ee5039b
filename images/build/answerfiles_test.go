package build_test

import (
	"encoding/xml"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"ingot/images/build"
)

// TestInstallerAnswers checks the answer files of the examples as far as it goes here.
func TestInstallerAnswers(t *testing.T) {
	seen := 0
	for _, name := range build.Recipes() {
		r, err := build.EmbeddedRecipe(name)
		if err != nil {
			t.Fatal(err)
		}
		if r.Source == nil || r.Source.Installer == nil {
			continue
		}
		seen++
		answer := r.Source.Installer.Answer
		switch r.Source.Installer.Kind {
		case build.InstallerPreseed:
			checkPreseed(t, answer)
		case build.InstallerAutoinstall:
			var doc struct {
				Autoinstall struct {
					Version  int
					Identity struct{ Hostname, Username, Password string }
					Storage  map[string]any
				}
			}
			if err := yaml.Unmarshal([]byte(answer), &doc); err != nil || !strings.HasPrefix(answer, "#cloud-config\n") {
				t.Errorf("%s: %v", name, err)
			}
			if a := doc.Autoinstall; a.Version != 1 || a.Identity.Username == "" || a.Identity.Password == "" || a.Storage == nil {
				t.Errorf("%s: a required key is missing: %+v", name, a)
			}
		case build.InstallerKickstart:
			checkKickstart(t, answer)
		case build.InstallerWindows:
			checkUnattend(t, answer)
		}
	}
	if seen != 4 {
		t.Errorf("%d installers, want 4", seen)
	}
}

func checkPreseed(t *testing.T, answer string) {
	for line := range strings.Lines(answer) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" || strings.HasPrefix(f[0], "#") {
			continue
		}
		kinds := "string boolean select multiselect password note text"
		if len(f) < 3 || !strings.Contains(kinds, f[2]) || !strings.Contains(f[1], "/") {
			t.Errorf("preseed: %q is not OWNER QUESTION TYPE VALUE", strings.TrimSpace(line))
		}
	}
}

func checkKickstart(t *testing.T, answer string) {
	have, open := map[string]bool{}, ""
	for line := range strings.Lines(answer) {
		word := strings.Fields(line + " .")[0]
		switch {
		case word == "%end":
			open = ""
		case strings.HasPrefix(word, "%"):
			if open != "" {
				t.Errorf("kickstart: %s within %s", word, open)
			}
			open = word
		case open != "":
			continue
		}
		have[word] = true
	}
	for _, want := range []string{"lang", "keyboard", "timezone", "rootpw", "bootloader", "part", "clearpart", "zerombr", "url", "poweroff", "%packages", "%end"} {
		if !have[want] {
			t.Errorf("kickstart: no %s", want)
		}
	}
	if open != "" {
		t.Errorf("kickstart: %s has no %%end", open)
	}
}

func checkUnattend(t *testing.T, answer string) {
	var doc struct {
		XMLName  xml.Name `xml:"urn:schemas-microsoft-com:unattend unattend"`
		Settings []struct {
			Pass      string `xml:"pass,attr"`
			Component []struct {
				Name         string `xml:"name,attr"`
				Architecture string `xml:"processorArchitecture,attr"`
				Token        string `xml:"publicKeyToken,attr"`
			} `xml:"component"`
		} `xml:"settings"`
	}
	if err := xml.Unmarshal([]byte(answer), &doc); err != nil {
		t.Fatalf("unattend: %v", err)
	}
	var passes []string
	for _, s := range doc.Settings {
		passes = append(passes, s.Pass)
		for _, c := range s.Component {
			if c.Name == "" || c.Architecture != "amd64" || c.Token != "31bf3856ad364e35" {
				t.Errorf("unattend: component %+v", c)
			}
		}
	}
	if diff := cmp.Diff([]string{"windowsPE", "specialize", "oobeSystem"}, passes); diff != "" {
		t.Errorf("unattend: passes (-want +got):\n%s", diff)
	}
}
