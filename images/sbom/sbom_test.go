package sbom_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"ingot/images/contents"
	"ingot/images/sbom"
)

var subject = sbom.Subject{Name: "debian-12", Version: "2026-11-28.1", ContentDigest: "sha256:" + strings.Repeat("ab", 32),
	OSID: "debian", OSVersion: "12", OSName: "Debian GNU/Linux 12 (bookworm)", Made: time.Date(2026, 11, 28, 2, 0, 0, 0, time.UTC), Builder: "1.0"}

var packages = []contents.Package{
	{Name: "libstdc++6", Version: "12.2.0-14+deb12u1", Architecture: "amd64", Source: "gcc-12", SourceVersion: "12.2.0-14+deb12u1", Maintainer: "Debian GCC Maintainers <x@example.org>", Homepage: "http://gcc.gnu.org/"},
	{Name: "vim-tiny", Version: "2:9.0.1378-2", Architecture: "amd64"},
}

func write(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := sbom.Write(&out, subject, packages); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestSchema: CycloneDX's own schema, from the library's module, takes the document.
func TestSchema(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	if err != nil {
		t.Fatalf("find the schema: %v", err)
	}
	c := jsonschema.NewCompiler()
	schemas := filepath.Join(strings.TrimSpace(string(dir)), "schema")
	for url, file := range map[string]string{"bom": "bom-1.6.schema.json", "http://cyclonedx.org/schema/jsf-0.82.schema.json": "jsf-0.82.schemax.json",
		"http://cyclonedx.org/schema/spdx.schema.json": "spdx.schema.json"} {
		if err := c.AddResource(url, readJSON(t, filepath.Join(schemas, file))); err != nil {
			t.Fatal(err)
		}
	}
	schema, err := c.Compile("bom")
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(write(t)))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(document); err != nil {
		t.Error(err)
	}
	document.(map[string]any)["components"] = "none"
	if schema.Validate(document) == nil {
		t.Error("the schema takes anything")
	}
}

func readJSON(t *testing.T, path string) any {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	v, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestDocument(t *testing.T) {
	first := write(t)
	if !bytes.Equal(first, write(t)) {
		t.Error("the same image gives other bytes")
	}
	var b struct {
		SerialNumber string
		Components   []struct{ Purl, Name string }
	}
	if err := json.Unmarshal(first, &b); err != nil {
		t.Fatal(err)
	}
	// Checked with the rules of the purl specification for deb: a plus is %2B, an epoch's
	// colon may stay.
	for i, want := range []string{"pkg:deb/debian/libstdc%2B%2B6@12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12", "pkg:deb/debian/vim-tiny@2:9.0.1378-2?arch=amd64&distro=debian-12"} {
		if b.Components[i].Purl != want {
			t.Errorf("package URL %s, want %s", b.Components[i].Purl, want)
		}
	}
	if !strings.HasPrefix(b.SerialNumber, "urn:uuid:") || len(b.SerialNumber) != len("urn:uuid:")+36 {
		t.Errorf("serial number %s", b.SerialNumber)
	}
}
