package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// learn keeps the first VM's description as the blueprint for those by hand: without its
// seed, and without what each must have of its own.
func (h *vmHost) learn(ctx context.Context) error {
	first, err := h.client.Machine(ctx, "first")
	if err != nil {
		return err
	}
	text, _, err := h.b.command(ctx, nil, "virsh", "-q", "-c", h.url(), "dumpxml", "--inactive", first.Status.VM.UUID)
	if err != nil {
		return err
	}
	images, err := filepath.Glob(filepath.Join(h.pool(), "ingot-"+strings.Repeat("[0-9a-f]", 64)+"*.qcow2"))
	if err != nil || len(images) != 1 {
		return errors.Join(err, fmt.Errorf("images in the pool: %q, want one", images))
	}
	h.image = images[0]
	h.blueprint = blueprint(text)
	return h.remove(ctx, "first")
}

var (
	ownParts = regexp.MustCompile(`(?s)<uuid>.*?</uuid>|<mac address=.*?/>|<metadata>.*?</metadata>|<title>.*?</title>|<address type='pci'.*?/>`)
	nameOf   = regexp.MustCompile(`<name>.*?</name>`)
	diskXML  = regexp.MustCompile(`(?s)<disk .*?</disk>`)
	diskOf   = regexp.MustCompile(`<source file='[^']*disk0[^']*'/>`)
	logOf    = regexp.MustCompile(`<log file='[^']*'`)
)

// blueprint has NAME and DISK and LOG where a machine's own go.
func blueprint(text string) string {
	text = ownParts.ReplaceAllString(text, "")
	text = diskXML.ReplaceAllStringFunc(text, func(disk string) string {
		if strings.Contains(disk, "<readonly/>") {
			return "" // the seed
		}
		return disk
	})
	text = nameOf.ReplaceAllString(text, "<name>NAME</name>")
	text = diskOf.ReplaceAllString(text, "<source file='DISK'/>")
	return logOf.ReplaceAllString(text, "<log file='LOG'")
}

// raw makes a machine by hand.
func (h *vmHost) raw(ctx context.Context, name string) error {
	disk, file := h.own(name, ".qcow2"), h.own(name, ".xml")
	xml := strings.NewReplacer("NAME", name, "DISK", disk, "LOG", h.own(name, ".log")).Replace(h.blueprint)
	if err := os.WriteFile(file, []byte(xml), 0o600); err != nil {
		return err
	}
	if _, _, err := h.b.command(ctx, nil, "qemu-img", "create", "-q", "-f", "qcow2", "-b", h.image, "-F", "qcow2", disk); err != nil {
		return err
	}
	if err := h.virsh(ctx, "define", file); err != nil {
		return err
	}
	return h.virsh(ctx, "start", name)
}

func (h *vmHost) own(name, ending string) string { return filepath.Join(h.pool(), name+ending) }

func (h *vmHost) undefine(ctx context.Context, name string) error {
	err := errors.Join(h.virsh(ctx, "destroy", name), h.virsh(ctx, "undefine", name))
	for _, ending := range []string{".qcow2", ".xml", ".log"} {
		if gone := os.Remove(h.own(name, ending)); gone != nil && !errors.Is(gone, os.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return err
}
