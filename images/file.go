package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"ingot/images/master"
	"ingot/inventory"
)

// File is a document that lies beside an image: its recipe, package list, log.
type File struct {
	Name      string `json:"name"`
	SizeBytes int64  `json:"sizeBytes"`
}

var fileName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// checkFileName allows plain names: no folder, nothing hidden.
func checkFileName(name string) error {
	if !fileName.MatchString(name) {
		return inventory.Invalid("file name %q (want letters, digits, dots, - and _, at most 100)", name)
	}
	return nil
}

// stageFiles writes the documents of an import into its folder.
func stageFiles(st *staging, dir string, o ImportOptions) error {
	for name, data := range o.Files {
		if err := checkFileName(name); err != nil {
			return err
		}
		if err := st.room.take(int64(len(data))); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return err
		}
	}
	for name, path := range o.FilePaths {
		if err := checkFileName(name); err != nil {
			return err
		}
		if err := copyFile(st.room, path, filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("keep %s: %w", name, err)
		}
	}
	return nil
}

// copyFile copies a regular file. It does not sync.
func copyFile(room *room, from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return inventory.Invalid("%s is no regular file", from)
	}
	if err := room.take(info.Size()); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// inImage returns the folder of an image that is there.
func (s *Store) inImage(doing, digest string) (string, error) {
	d, err := parse(doing, digest)
	if err != nil {
		return "", err
	}
	dir := s.blob(d)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return "", inventory.NotFound("image", digest)
	} else if err != nil {
		return "", err
	}
	return dir, nil
}

// File opens a document of an image. It is inventory.ErrNotFound when the image or the
// document is not there.
func (s *Store) File(digest, name string) (*os.File, error) {
	dir, err := s.inImage("open file of image", digest)
	if err != nil {
		return nil, err
	}
	if err := checkFileName(name); err != nil {
		return nil, err
	}
	return openFile(filepath.Join(dir, filesFolder, name), name, digest)
}

func openFile(path, name, digest string) (*os.File, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, inventory.NotFound("file of image "+digest, name)
	}
	return f, err
}

// Files lists the documents of an image, by name.
func (s *Store) Files(digest string) ([]File, error) {
	dir, err := s.inImage("list files of image", digest)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Join(dir, filesFolder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	list := []File{}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		list = append(list, File{e.Name(), info.Size()})
	}
	return list, nil
}

// AddFile puts a document beside an image that is there, in place of one of the same
// name. The signature of an image does not cover its documents.
func (s *Store) AddFile(ctx context.Context, digest, name string, data []byte) error {
	if err := checkFileName(name); err != nil {
		return err
	}
	d, err := parse("add file to image", digest)
	if err != nil {
		return err
	}
	return s.addTo(ctx, d, filesFolder, name, func(path string) error { return writeSynced(path, data) })
}

// addTo makes something with write and moves it into a folder of an image, in place of a
// file of that name; a folder of that name is inventory.ErrConflict.
func (s *Store) addTo(ctx context.Context, d master.Digest, folder, name string, write func(path string) error) (err error) {
	st, err := s.newStaging(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.discard()) }()
	if err := write(st.path("new")); err != nil {
		return err
	}
	return s.locked(ctx, func() error {
		to := filepath.Join(s.blob(d), folder)
		err := makeFolder(to)
		if err == nil {
			err = os.Rename(st.path("new"), filepath.Join(to, name))
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return inventory.NotFound("image", d.String())
		case errors.Is(err, fs.ErrExist):
			return inventory.Conflict("image %s has %s/%s already", d, folder, name)
		case err != nil:
			return err
		}
		return syncDir(to)
	})
}
