package build

import (
	"context"
	"io"
)

// Guest runs work in virtual machines. It is what the sources image and installer need;
// images/guestrun has one on QEMU.
type Guest interface {
	// Customise boots a copy of a disk and runs scripts in it, cleans it for cloning, shuts
	// it down, and writes the raw disk to g.To. A script that fails is an error that says
	// which, with its exit code and last lines.
	Customise(ctx context.Context, g Customisation) error
	// Install runs an unattended installer until it powers the machine off, and leaves the
	// disk raw at i.To.
	Install(ctx context.Context, i Installation) error
}

// Customisation is a disk and what to do in it.
type Customisation struct {
	// Base is the disk, which stays as it is; Format is raw, qcow2, vmdk or vhdx.
	Base, Format string
	Scripts      []GuestScript
	// Repository is a folder with a Debian archive of the packages ("deb [trusted=yes]
	// ... ./"), for a guest without a network; empty for none. Packages are to be installed
	// from it before the scripts.
	Repository string
	Packages   []string
	SizeBytes  int64
	To         string
	Log        io.Writer
}

// GuestScript is one script of a step, for /bin/sh unless Interpreter is set.
type GuestScript struct {
	Name, Script, Interpreter string
	Env                       map[string]string
}

// Installation is an installer and its answers.
type Installation struct {
	Kind InstallerKind
	// Kernel and Initrd are files; a preseed is in the initrd already. ISO may be empty.
	Kernel, Initrd, ISO string
	CommandLine         string
	// Answer is the answer file, for installers that read it from a medium or a server.
	AnswerName string
	Answer     []byte
	// Accepted is a regular expression that the console shows once the answers are taken.
	Accepted  string
	Firmware  string
	SizeBytes int64
	To        string
	Log       io.Writer
}
