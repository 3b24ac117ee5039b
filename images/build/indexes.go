package build

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// paragraph is what an index says of a package.
type paragraph struct {
	pkg  Package
	text string
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
	var paragraphs []paragraph
	for _, e := range entries {
		isIndex := strings.HasSuffix(e.Name(), "_Packages")
		if !isIndex && !strings.HasSuffix(e.Name(), "_InRelease") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(lists, e.Name()))
		if err != nil {
			return err
		}
		sum := sha256.Sum256(data)
		b.inputs.Indexes = append(b.inputs.Indexes, Index{strings.ReplaceAll(e.Name(), "_", "/"), hex.EncodeToString(sum[:])})
		if isIndex {
			paragraphs = append(paragraphs, takeWanted(data, wanted)...)
		}
	}
	if len(wanted) > 0 {
		return fmt.Errorf("%d packages are in none of the archive's lists", len(wanted))
	}
	return b.keepIndex(paragraphs)
}

// takeWanted returns an index's paragraphs of packages that are wanted, and takes those
// from what is wanted.
func takeWanted(index []byte, wanted map[string]foundPackage) (out []paragraph) {
	for text := range bytes.SplitSeq(index, []byte("\n\n")) {
		sha := indexField(text, "SHA256")
		f, ok := wanted[sha]
		if !ok {
			continue
		}
		delete(wanted, sha)
		p := Package{Name: indexField(text, "Package"), Version: indexField(text, "Version"), Architecture: indexField(text, "Architecture"), SizeBytes: f.size, SHA256: sha, URL: f.url}
		out = append(out, paragraph{p, localParagraph(string(text), p)})
	}
	return out
}

// keepIndex puts the paragraphs, by name, into the cache.
func (b *build) keepIndex(paragraphs []paragraph) error {
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
