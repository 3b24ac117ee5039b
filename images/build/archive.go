package build

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"ingot/images/master"
	"ingot/inventory"
)

// Debian's own archives, and the one of the past.
const (
	debianMirror   = "http://deb.debian.org/debian"
	securityMirror = "http://deb.debian.org/debian-security"
	snapshotMirror = "http://snapshot.debian.org/archive"
	debianKeyring  = "/usr/share/keyrings/debian-archive-keyring.gpg"
)

// sources are the lines of sources.list that the finished system gets.
func (a Archive) sources() []string {
	mirror, security := a.Mirror, a.SecurityMirror
	if mirror == "" {
		mirror, security = debianMirror, securityMirror
	}
	return a.sourceLines("", mirror, security)
}

// buildSources are those that a build reads.
func (a Archive) buildSources() []string {
	if a.Snapshot == "" {
		return a.sources()
	}
	// What was published in the past has a Valid-Until in the past.
	return a.sourceLines("[check-valid-until=no] ", snapshotMirror+"/debian/"+a.Snapshot, snapshotMirror+"/debian-security/"+a.Snapshot)
}

func (a Archive) sourceLines(options, mirror, security string) []string {
	components := strings.Join(a.Components, " ")
	out := []string{fmt.Sprintf("deb %s%s %s %s", options, mirror, a.Release, components), fmt.Sprintf("deb %s%s %s-updates %s", options, mirror, a.Release, components)}
	if security != "" {
		out = append(out, fmt.Sprintf("deb %s%s %s-security %s", options, security, a.Release, components))
	}
	return out
}

// packages are what a build needs of the archive; whole adds what every Debian has.
type packageSet struct {
	names []string
	keys  map[string]string // name to the recipe's key
	whole bool
}

// resolve finds the packages of a set and what they need, with apt and the archive's
// signatures, and gets them into the cache. Pinned inputs are taken as they are.
func (b *build) resolve(ctx context.Context, set packageSet) error {
	if b.opts.Pinned != nil {
		return b.pin()
	}
	lists := filepath.Join(b.cache.dir, "lists", master.DigestOf([]byte(strings.Join(b.recipe.buildSources(), "\n"))).Hex()[:16])
	if err := os.MkdirAll(filepath.Join(lists, "partial"), 0o755); err != nil {
		return fmt.Errorf("resolve packages: %w", err)
	}
	unlock, err := lockFile(ctx, lists+".lock")
	if err != nil {
		return fmt.Errorf("resolve packages: %w", err)
	}
	defer unlock()
	apt, err := b.aptConfig(lists)
	if err != nil {
		return fmt.Errorf("resolve packages: %w", err)
	}
	if _, err := b.run(ctx, "apt-get", "-c", apt, "--error-on=any", "-q", "update"); err != nil {
		return fmt.Errorf("read the archive's lists, of %s: %w", strings.Join(b.recipe.buildSources(), ", "), err)
	}
	list, err := b.solve(ctx, apt, set)
	if err != nil {
		return err
	}
	if err := b.readIndexes(lists, list); err != nil {
		return fmt.Errorf("resolve packages: %w", err)
	}
	b.log.Write(fmt.Appendf(nil, "%d packages; getting those that %s lacks\n", len(list), b.cache.dir))
	return b.cache.fetch(ctx, b.inputs.Packages)
}

// lockFile waits for an exclusive lock.
func lockFile(ctx context.Context, name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	got := make(chan error, 1)
	go func() { got <- unix.Flock(int(f.Fd()), unix.LOCK_EX) }()
	select {
	case err := <-got:
		return func() { f.Close() }, err
	case <-ctx.Done():
		go func() { <-got; f.Close() }() // ends when the lock's holder does
		return nil, ctx.Err()
	}
}

// aptConfig writes the configuration of an apt that knows nothing of this machine but
// the keys it trusts for Debian.
func (b *build) aptConfig(lists string) (string, error) {
	dir := filepath.Join(b.dir, "apt")
	if err := os.MkdirAll(filepath.Join(dir, "archives", "partial"), 0o755); err != nil {
		return "", err
	}
	keys := filepath.Join(dir, "keys")
	if err := os.MkdirAll(keys, 0o755); err != nil {
		return "", err
	}
	trusted, err := filepath.Glob("/etc/apt/trusted.gpg.d/*")
	if err != nil {
		return "", err
	}
	for _, key := range append(trusted, debianKeyring) {
		if err := os.Symlink(key, filepath.Join(keys, filepath.Base(key))); err != nil {
			return "", err
		}
	}
	config := fmt.Sprintf(`Dir "/";
Dir::State %[1]q;
Dir::State::lists %[2]q;
Dir::State::status %[3]q;
Dir::State::extended_states "/dev/null";
Dir::Cache %[1]q;
Dir::Cache::archives %[4]q;
Dir::Etc::sourcelist %[5]q;
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::trusted "/dev/null";
Dir::Etc::trustedparts %[6]q;
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "amd64";
APT::Architectures { "amd64"; };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::GzipIndexes "false";
Acquire::Retries "3";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
`, dir, lists, filepath.Join(dir, "status"), filepath.Join(dir, "archives"), filepath.Join(dir, "sources.list"), keys)
	path := filepath.Join(dir, "apt.conf")
	// APT_CONFIG is read before apt's own folders, and turns them off.
	early := "Dir::Etc::main \"/dev/null\";\nDir::Etc::parts \"/dev/null\";\n"
	return path, errors.Join(
		os.WriteFile(filepath.Join(dir, "status"), nil, 0o644),
		os.WriteFile(filepath.Join(dir, "sources.list"), []byte(strings.Join(b.recipe.buildSources(), "\n")+"\n"), 0o644),
		os.WriteFile(filepath.Join(b.dir, aptEarly), []byte(early), 0o644),
		os.WriteFile(path, []byte(config), 0o644))
}

// aptEarly is what APT_CONFIG names, in the scratch folder.
const aptEarly = "apt-early.conf"

var (
	unknownPackage = regexp.MustCompile(`(?m)^E: (?:Unable to locate package|Couldn't find any package by \w+|Package) '?([a-z0-9][a-z0-9+.-]*)'?`)
	printedURI     = regexp.MustCompile(`^'([^']+)' (\S+) (\d+) SHA256:([0-9a-f]{64})$`)
)

// found is a package as apt prints it.
type foundPackage struct {
	url, sha string
	size     int64
}

// solve asks apt which packages an empty system needs.
func (b *build) solve(ctx context.Context, apt string, set packageSet) ([]foundPackage, error) {
	args := []string{"-c", apt, "-o", "Acquire::ForceHash=SHA256", "-qq", "--yes", "--print-uris", "install"}
	if set.whole {
		// What mmdebstrap's minbase takes by itself.
		args = append(args, "?and(?architecture(amd64),?or(?essential,?priority(required)))", "apt")
	}
	out, err := b.runQuiet(ctx, "apt-get", append(args, set.names...)...)
	if err != nil {
		var tool *toolError
		if !errors.As(err, &tool) {
			return nil, err
		}
		if m := unknownPackage.FindStringSubmatch(tool.said); m != nil {
			key := set.keys[m[1]]
			return nil, inventory.Invalid("%skey %s: %s has no package %s in %s: look it up at https://packages.debian.org/%s", b.recipe.place(key), key,
				b.recipe.Release, m[1], strings.Join(b.recipe.Components, ", "), b.recipe.Release)
		}
		return nil, fmt.Errorf("find out what the packages need: %w", err)
	}
	var list []foundPackage
	for line := range strings.Lines(string(out)) {
		m := printedURI.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			return nil, fmt.Errorf("find out what the packages need: apt says %q", strings.TrimSpace(line))
		}
		size, err := strconv.ParseInt(m[3], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("find out what the packages need: %w", err)
		}
		list = append(list, foundPackage{m[1], m[4], size})
	}
	return list, nil
}

// readIndexes notes the digests of the archive's lists, and keeps the paragraphs of the
// packages as an index of its own.
func (b *build) readIndexes(lists string, found []foundPackage) error {
	wanted := map[string]foundPackage{}
	for _, f := range found {
		wanted[f.sha] = f
	}
	entries, err := os.ReadDir(lists)
	if err != nil {
		return err
	}
	type paragraph struct {
		pkg  Package
		text string
	}
	var paragraphs []paragraph
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), "_InRelease") && !strings.HasSuffix(e.Name(), "_Packages") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(lists, e.Name()))
		if err != nil {
			return err
		}
		sum := sha256.Sum256(data)
		b.inputs.Indexes = append(b.inputs.Indexes, Index{strings.ReplaceAll(e.Name(), "_", "/"), hex.EncodeToString(sum[:])})
		if !strings.HasSuffix(e.Name(), "_Packages") {
			continue
		}
		for text := range bytes.SplitSeq(data, []byte("\n\n")) {
			sha := indexField(text, "SHA256")
			f, ok := wanted[sha]
			if !ok {
				continue
			}
			delete(wanted, sha)
			p := Package{Name: indexField(text, "Package"), Version: indexField(text, "Version"), Architecture: indexField(text, "Architecture"), SizeBytes: f.size, SHA256: sha, URL: f.url}
			paragraphs = append(paragraphs, paragraph{p, localParagraph(string(text), p)})
		}
	}
	if len(wanted) > 0 {
		return fmt.Errorf("%d packages are in none of the archive's lists", len(wanted))
	}
	slices.SortFunc(paragraphs, func(x, y paragraph) int {
		return cmp.Or(cmp.Compare(x.pkg.Name, y.pkg.Name), cmp.Compare(x.pkg.SHA256, y.pkg.SHA256))
	})
	var index strings.Builder
	for _, p := range paragraphs {
		b.inputs.Packages = append(b.inputs.Packages, p.pkg)
		index.WriteString(p.text)
	}
	sha, err := b.cache.put(strings.NewReader(index.String()), "")
	b.inputs.PackagesIndex = "sha256:" + sha
	b.inputs.Snapshot = b.recipe.Snapshot
	return err
}

// indexField returns a field of a paragraph of a Packages file.
func indexField(paragraph []byte, name string) string {
	at := bytes.Index(append([]byte("\n"), paragraph...), []byte("\n"+name+": "))
	if at < 0 {
		return ""
	}
	line, _, _ := bytes.Cut(paragraph[at+len(name)+2:], []byte("\n"))
	return string(line)
}

// localParagraph is a paragraph for the repository that a build makes of its cache.
func localParagraph(text string, p Package) string {
	var out strings.Builder
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		if strings.HasPrefix(line, "Filename: ") {
			line = "Filename: ./" + p.fileName()
		}
		out.WriteString(line + "\n")
	}
	return out.String() + "\n"
}

// fileName is as in an archive's pool, where the epoch has gone.
func (p Package) fileName() string {
	_, version, ok := strings.Cut(p.Version, ":")
	if !ok {
		version = p.Version
	}
	return path.Base(url.PathEscape(p.Name + "_" + version + "_" + p.Architecture + ".deb"))
}

// pin takes the inputs of an earlier build, which the cache must hold.
func (b *build) pin() error {
	in := *b.opts.Pinned
	var missing []string
	for _, p := range in.Packages {
		if !b.cache.has(p.SHA256, p.SizeBytes) {
			missing = append(missing, p.Name+" "+p.Version)
		}
	}
	if in.PackagesIndex != "" && !b.cache.has(strings.TrimPrefix(in.PackagesIndex, "sha256:"), -1) {
		missing = append(missing, "the index of packages")
	}
	if len(missing) > 0 {
		return fmt.Errorf("the cache %s lacks %d of the pinned inputs: %s: build without pinned inputs, or bring the cache of that build: %w",
			b.cache.dir, len(missing), strings.Join(missing[:min(len(missing), 20)], ", "), inventory.ErrNotFound)
	}
	tools := b.inputs.Tools
	b.inputs = in
	b.inputs.Tools = tools
	if !slices.Equal(tools, in.Tools) {
		b.log.Write([]byte("the tools are not those of the pinned build: bytes may differ\n"))
	}
	return nil
}

// repository makes an archive of the cached packages in the scratch folder and returns
// it. Each package is read once, against its digest.
func (b *build) repository() (string, error) {
	dir := filepath.Join(b.dir, "repository")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	for _, p := range b.inputs.Packages {
		file, err := b.cache.verify(p.SHA256)
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("package %s %s in the cache is spoilt, it was removed: build again: %w", p.Name, p.Version, err)
		} else if err != nil {
			return "", fmt.Errorf("read package %s %s: %w", p.Name, p.Version, err)
		}
		if err := os.Symlink(file, filepath.Join(dir, p.fileName())); err != nil {
			return "", err
		}
	}
	index, err := b.cache.verify(strings.TrimPrefix(b.inputs.PackagesIndex, "sha256:"))
	if err != nil {
		return "", fmt.Errorf("read the index of packages: %w", err)
	}
	if err := copyFile(index, filepath.Join(dir, "Packages")); err != nil {
		return "", err
	}
	info, err := os.Stat(index)
	if err != nil {
		return "", err
	}
	// mmdebstrap takes packages of the release that it is told.
	release := fmt.Sprintf("Origin: Debian\nSuite: %[1]s\nCodename: %[1]s\nArchitectures: amd64\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n %[2]s %[3]d Packages\n",
		b.recipe.Release, strings.TrimPrefix(b.inputs.PackagesIndex, "sha256:"), info.Size())
	return dir, os.WriteFile(filepath.Join(dir, "Release"), []byte(release), 0o644)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
