package vsphere

import (
	"bytes"
	_ "embed"
	"encoding/xml"
	"fmt"
	"strings"
	"text/template"
)

// descriptor is the OVF envelope of an image: one disk on a paravirtual SCSI controller,
// nothing else (DSP0243, Open Virtualization Format 1.1). Hardware version 14 is that of
// ESXi 6.7, the first with a virtual TPM.
//
//go:embed descriptor.ovf
var descriptor string

var descriptorTemplate = template.Must(template.New("descriptor").Funcs(template.FuncMap{"xml": func(s string) (string, error) {
	var b strings.Builder
	err := xml.EscapeText(&b, []byte(s))
	return b.String(), err
}}).Parse(descriptor))

// diskOVF is what a descriptor tells of an image.
type diskOVF struct {
	Name string
	// Bytes is the file's length, Capacity the disk's.
	Bytes, Capacity int64
}

func (o diskOVF) descriptor() (string, error) {
	var b bytes.Buffer
	if err := descriptorTemplate.Execute(&b, o); err != nil {
		return "", fmt.Errorf("OVF descriptor: %w", err)
	}
	return b.String(), nil
}
