package build

import (
	"fmt"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"
)

// Document is the recipe as one text that needs no other file, with variables filled in:
// ParseRecipe of it has the same digest. Large inputs (images, layouts) stay files, by
// absolute path. It is what a client sends to a server.
func (r Recipe) Document() ([]byte, error) {
	r.Extends, r.Variables = "", nil
	if r.Source != nil {
		r.Source = r.Source.absolute(r.dir)
	}
	var n yaml.Node
	if err := n.Encode(r); err != nil {
		return nil, fmt.Errorf("write recipe %s: %w", r.Name, err)
	}
	prune(&n)
	return yaml.Marshal(&n)
}

// absolute is a copy whose inputs are files by absolute path.
func (s Source) absolute(dir string) *Source {
	fix := func(file *string) {
		if *file != "" && dir != "" && !filepath.IsAbs(*file) {
			*file = filepath.Join(dir, *file)
		}
	}
	if s.Image != nil {
		image := *s.Image
		fix(&image.File)
		s.Image = &image
	}
	if s.OCI != nil {
		oci := *s.OCI
		fix(&oci.Layout)
		s.OCI = &oci
	}
	if s.Installer != nil {
		in := *s.Installer
		for _, input := range []**Input{&in.Kernel, &in.Initrd, &in.ISO} {
			if *input != nil {
				file := **input
				fix(&file.File)
				*input = &file
			}
		}
		s.Installer = &in
	}
	return &s
}

// prune takes out what is empty, and keeps ${ from being a variable.
func prune(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode {
		n.Value = strings.ReplaceAll(n.Value, "${", "$${")
		return
	}
	if n.Kind != yaml.MappingNode {
		for _, child := range n.Content {
			prune(child)
		}
		return
	}
	var kept []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, v := n.Content[i], n.Content[i+1]
		if v.Tag == "!!null" || v.Value == "" && len(v.Content) == 0 || v.Tag == "!!int" && v.Value == "0" || v.Tag == "!!bool" && v.Value == "false" {
			continue
		}
		if key.Value == "env" { // an empty variable is a variable
			for _, child := range v.Content {
				prune(child)
			}
		} else {
			prune(v)
		}
		kept = append(kept, key, v)
	}
	n.Content = kept
}
