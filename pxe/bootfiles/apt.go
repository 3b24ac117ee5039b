package bootfiles

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Source says where Debian's packages come from.
type Source struct {
	// Cache is the directory that keeps package lists, packages and unpacked roots.
	Cache string
	// Mirror is the URL of a Debian mirror. Empty: the mirrors in this host's apt
	// configuration.
	Mirror string
	// Suite is Debian's code name. Empty: this host's.
	Suite string
	// Refresh asks the mirror for newer packages; otherwise what was fetched once
	// is used without any network.
	Refresh bool
	// Log gets progress. nil: none.
	Log *slog.Logger
}

// apt is a private apt: its own lists, status and archive, nothing installed.
type apt struct{ dir string }

const aptConfig = `Dir::State "%[1]s/state";
Dir::State::status "%[1]s/status";
Dir::Cache "%[1]s/cache";
Dir::Etc::sourcelist "%[1]s/sources.list";
Dir::Etc::sourceparts "/dev/null";
APT::Architecture "amd64";
APT::Architectures { "amd64"; "arm64"; };
APT::Sandbox::User "%[2]s";
Acquire::Languages "none";
Acquire::Retries "3";
`

// newAPT writes the configuration of a private apt into dir.
func newAPT(dir string, sources []string) (*apt, error) {
	if strings.ContainsAny(dir, `"\`) {
		return nil, fmt.Errorf("cache directory %q: apt takes no quotes or backslashes", dir)
	}
	for _, d := range []string{"state/lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	user := ""
	if os.Geteuid() == 0 {
		user = "root" // apt's own user may not be able to read the cache directory
	}
	files := map[string]string{
		"status":       "",
		"sources.list": strings.Join(sources, "\n") + "\n",
		"apt.conf":     fmt.Sprintf(aptConfig, dir, user),
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return nil, err
		}
	}
	return &apt{dir: dir}, nil
}

// run runs one of apt's programs with the private configuration.
func (a *apt) run(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "APT_CONFIG="+filepath.Join(a.dir, "apt.conf"), "LC_ALL=C")
	out, err := cmd.Output()
	if err == nil {
		return out, nil
	}
	if errors.Is(err, exec.ErrNotFound) {
		return nil, fmt.Errorf("%s is not here: Debian's packages are fetched with it; on another system unpack them yourself and give their folder as root", name)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(exit.Stderr))
	}
	return nil, fmt.Errorf("%s: %w", name, err)
}

// fields returns the values of a field in apt-cache show's answer for a package.
func (a *apt) field(ctx context.Context, pkg, field string) (string, error) {
	out, err := a.run(ctx, a.dir, "apt-cache", "show", "--no-all-versions", pkg)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(out)) {
		if v, ok := strings.CutPrefix(line, field+": "); ok {
			return strings.TrimSpace(v), nil
		}
	}
	return "", fmt.Errorf("package %s has no field %s", pkg, field)
}

// known reports whether the lists have a version of the package.
func (a *apt) known(ctx context.Context, pkg string) (bool, error) {
	out, err := a.run(ctx, a.dir, "apt-cache", "policy", pkg)
	if err != nil {
		return false, err
	}
	s := string(out)
	return strings.Contains(s, "Candidate:") && !strings.Contains(s, "Candidate: (none)"), nil
}

// kernelPackage resolves linux-image-amd64 to the package with the kernel itself.
func (a *apt) kernelPackage(ctx context.Context) (string, error) {
	depends, err := a.field(ctx, "linux-image-amd64", "Depends")
	if err != nil {
		return "", fmt.Errorf("find the kernel's package: %w", err)
	}
	for dep := range strings.SplitSeq(depends, ",") {
		name := strings.Fields(dep)[0]
		if strings.HasPrefix(name, "linux-image-") {
			return name, refuseCloud(name)
		}
	}
	return "", fmt.Errorf("find the kernel's package: linux-image-amd64 depends on %q only", depends)
}

// components are what the packages of the set need.
const components = "main non-free-firmware"

// sources are the lines of the private sources.list.
func (s Source) sources(ctx context.Context) ([]string, error) {
	suite := s.Suite
	if suite == "" {
		var err error
		if suite, err = hostSuite(); err != nil {
			return nil, err
		}
	}
	if s.Mirror != "" {
		return []string{sourceLine(s.Mirror, suite), sourceLine(s.Mirror, suite+"-updates")}, nil
	}
	cmd := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("read this host's apt sources: %w: give a mirror instead", err)
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) == 3 && f[2] == "main" && (f[1] == suite || strings.HasPrefix(f[1], suite+"-")) {
			lines = append(lines, sourceLine(f[0], f[1]))
		}
	}
	slices.Sort(lines)
	if lines = slices.Compact(lines); len(lines) == 0 {
		return nil, fmt.Errorf("this host's apt sources have no Debian %s: give a mirror", suite)
	}
	return lines, nil
}

func sourceLine(uri, suite string) string {
	const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
	options := ""
	if _, err := os.Stat(keyring); err == nil {
		options = "[signed-by=" + keyring + "] "
	}
	return "deb " + options + uri + " " + suite + " " + components
}

// hostSuite is the code name of this Debian (os-release(5)).
func hostSuite() (string, error) {
	b, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", fmt.Errorf("find this host's Debian release: %w", err)
	}
	values := map[string]string{}
	for line := range strings.Lines(string(b)) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[k] = strings.Trim(v, `"'`)
	}
	if values["ID"] != "debian" || values["VERSION_CODENAME"] == "" {
		return "", fmt.Errorf("this host is %q and not Debian: give a mirror and a suite, or a root with unpacked packages", values["ID"])
	}
	return values["VERSION_CODENAME"], nil
}
