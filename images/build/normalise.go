package build

import (
	"fmt"
	"reflect"
)

// normalise turns the forms that are for people into the one that a build reads: files
// that are named are read in, and source.debian becomes the archive.
func (p *parser) normalise(r *Recipe) {
	p.inlineFiles(r, "files", r.Files)
	for i := range r.Steps {
		step, key := &r.Steps[i], fmt.Sprintf("steps[%d]", i)
		p.inlineFiles(r, key+".files", step.Files)
		if step.Script != nil {
			p.inline(r, key+".script", &step.Script.From, &step.Script.Run, "run")
		}
	}
	if r.Source == nil {
		return
	}
	if in := r.Source.Installer; in != nil {
		p.inline(r, "source.installer", &in.AnswerFrom, &in.Answer, "answer")
	}
	if a := r.Source.Debian; a != nil {
		if !reflect.ValueOf(r.Archive).IsZero() {
			p.report(r.places["source.debian"], "key source.debian: release, mirror, components and so on are given beside it too: give them once")
		}
		for _, key := range []string{"release", "mirror", "securityMirror", "components", "snapshot"} {
			r.places[key] = placeOf(r.places, "source.debian."+key, "")
		}
		r.Archive, r.Source.Debian = *a, nil
		if reflect.ValueOf(*r.Source).IsZero() {
			r.Source = nil
		}
		if r.System == "" {
			r.System = SystemDebian
		}
	}
}

func (p *parser) inlineFiles(r *Recipe, key string, files []File) {
	for i := range files {
		p.inline(r, fmt.Sprintf("%s[%d]", key, i), &files[i].From, &files[i].Content, "content")
	}
}

// inline reads the file that from names into to.
func (p *parser) inline(r *Recipe, key string, from, to *string, other string) {
	if *from == "" {
		return
	}
	place := placeOf(r.places, key+".from", r.Name)
	if *to != "" {
		p.report(place, "key %s: from and %s are both given: give one", key, other)
		return
	}
	data, err := readBeside(p.opts.Beside, *from, maxBesideBytes)
	if err != nil {
		p.report(place, "key %s.from: %v", key, err)
		return
	}
	*to, *from = string(data), ""
}
