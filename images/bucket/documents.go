package bucket

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"ingot/images/master"
	"ingot/inventory"
)

// pushDocuments puts the documents that the bucket lacks. The result of a boot test comes
// after its other files: with it the test is there.
func (s *Share) pushDocuments(ctx context.Context, d master.Digest, folder fs.FS, there contents) error {
	var lacks []string
	err := fs.WalkDir(folder, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		if _, ok := there[name]; !ok && isDocument(name) {
			lacks = append(lacks, name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(lacks, func(a, b string) int {
		return boolRank(path.Base(a) == resultName) - boolRank(path.Base(b) == resultName)
	})
	for _, name := range lacks {
		if err := s.pushFile(ctx, folder, name, blobFolder(d)+name); err != nil {
			return err
		}
	}
	return nil
}

func boolRank(last bool) int {
	if last {
		return 1
	}
	return 0
}

// isDocument tells what of an image's folder is added after it.
func isDocument(name string) bool {
	for _, folder := range []string{"files/", "tests/", "signatures/"} {
		if strings.HasPrefix(name, folder) {
			return true
		}
	}
	return false
}

func (s *Share) pushFile(ctx context.Context, folder fs.FS, name, key string) error {
	data, err := fs.ReadFile(folder, name)
	if err != nil {
		return err
	}
	return s.objects.put(ctx, key, bytes.NewReader(data), int64(len(data)))
}

// pullDocuments brings the documents of the store's images that others added.
func (s *Share) pullDocuments(ctx context.Context, there map[master.Digest]contents) error {
	list, err := s.Store.List(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, image := range list {
		d, err := master.ParseDigest(image.Digest)
		if err == nil && there[d].whole() {
			err = s.pullNew(ctx, d, there[d])
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// pullNew brings the documents that an image of the store lacks.
func (s *Share) pullNew(ctx context.Context, d master.Digest, there contents) error {
	folder, err := s.Store.Folder(d.String())
	if err != nil {
		return nil // it left the store
	}
	tests := map[string][]string{}
	for name := range there {
		kind, rest, _ := strings.Cut(name, "/")
		switch kind {
		case "files", "signatures":
			if has(folder, name) {
				continue
			}
			if err := s.pullDocument(ctx, d, kind, rest); err != nil {
				return err
			}
		case "tests":
			id, file, _ := strings.Cut(rest, "/")
			if !has(folder, "tests/"+id) && file != "" {
				tests[id] = append(tests[id], file)
			}
		}
	}
	for id, files := range tests {
		if _, done := there["tests/"+id+"/"+resultName]; !done {
			continue
		}
		if err := s.pullTest(ctx, d, id, files); err != nil {
			return err
		}
	}
	return nil
}

func (s *Share) pullDocument(ctx context.Context, d master.Digest, kind, name string) error {
	data, _, err := s.objects.get(ctx, blobFolder(d)+kind+"/"+name, maxFileBytes)
	if err != nil {
		return err
	}
	if kind == "files" {
		return s.Store.AddFile(ctx, d.String(), name, data)
	}
	key, ok := strings.CutSuffix(name, ".minisig")
	if !ok {
		return nil
	}
	return s.Store.PutSignature(ctx, d.String(), key, data)
}

func (s *Share) pullTest(ctx context.Context, d master.Digest, id string, files []string) (err error) {
	dir, err := os.MkdirTemp("", "ingot-boot-test-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var test inventory.ImageTest
	paths := map[string]string{}
	for _, name := range files {
		data, _, err := s.objects.get(ctx, blobFolder(d)+"tests/"+id+"/"+name, maxFileBytes)
		if err != nil {
			return err
		}
		if name == resultName {
			if err := json.Unmarshal(data, &test); err != nil {
				return inventory.Invalid("result of boot test %s of %s in %s: %v", id, d, s.objects, err)
			}
			continue
		}
		if !filepath.IsLocal(name) || strings.Contains(name, "/") {
			return inventory.Invalid("boot test %s of %s in %s has a file %q", id, d, s.objects, name)
		}
		paths[name] = filepath.Join(dir, name)
		if err := os.WriteFile(paths[name], data, 0o600); err != nil {
			return err
		}
	}
	if test.ID != id {
		return inventory.Invalid("boot test %s of %s in %s says it is %q", id, d, s.objects, test.ID)
	}
	return s.Store.AddTest(ctx, d.String(), test, paths)
}
