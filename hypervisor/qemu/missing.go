package qemu

import (
	"fmt"
	"os/exec"
)

// MissingError says that a program or firmware file is not on this host.
type MissingError struct {
	// File is the program's name or the file's path.
	File string
	// Package is the Debian package that has it.
	Package string
	err     error
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("%s is not here: install it with `apt-get install --no-install-recommends %s`", e.File, e.Package)
}

// Unwrap returns what looking for the file said.
func (e *MissingError) Unwrap() error { return e.err }

func missing(file, pkg string, err error) error {
	return &MissingError{File: file, Package: pkg, err: err}
}

// program finds an executable, or says which Debian package has it.
func program(name, pkg string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", missing(name, pkg, err)
	}
	return path, nil
}
