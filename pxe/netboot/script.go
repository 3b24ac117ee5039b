package netboot

import (
	"bytes"
	"embed"
	"fmt"
	"net/netip"
	"strings"
	"text/template"

	"ingot/inventory"
)

//go:embed scripts/*.tmpl
var scriptFiles embed.FS

var scripts = template.Must(template.New("").Funcs(template.FuncMap{"plain": plain}).ParseFS(scriptFiles, "scripts/*.tmpl"))

// plain keeps of a text what neither iPXE nor GRUB takes as syntax.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 && (r == ' ' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || strings.ContainsRune(".,:()@_-", r)) {
			return r
		}
		return ' '
	}, s)
}

// scriptData is what the templates may use. All of it is ours: no text that a client
// sent gets into a script, and Why is printed through plain.
type scriptData struct {
	MAC    string
	Base   string
	Server string
	// Set is the folder of the set of boot files, with its slash.
	Set    string
	Args   string
	Answer inventory.BootAnswer
	Why    string
	Name   string
}

func (t *Table) scriptData(mac inventory.MAC, server netip.Addr) scriptData {
	set := t.bootSet()
	d := scriptData{MAC: mac.Hyphened(), Base: t.HTTPBase(server) + "/boot/" + mac.Hyphened(), Server: server.String(),
		Set: inventory.SetFolder(set), Args: t.agentArgs(mac, server, set), Answer: inventory.BootAgent, Why: "unknown machine", Name: string(mac)}
	if e := t.lookup(mac, ""); e != nil {
		d.Answer, d.Why, d.Name = e.answer, e.why, e.name
	} else if !t.cfg.Discover {
		d.Answer, d.Why = inventory.BootNone, "unknown machine, and discovery is off"
	}
	return d
}

// Script is a rendered boot script and what it tells the machine to do.
type Script struct {
	Text   []byte
	Answer inventory.BootAnswer
	Why    string
}

// IPXE renders the script for iPXE.
func (t *Table) IPXE(mac inventory.MAC, server netip.Addr) (Script, error) {
	return t.render("ipxe.tmpl", t.scriptData(mac, server))
}

// GRUB renders the configuration for GRUB. The generic one, for MAC "", sends GRUB to
// the one of its own MAC.
func (t *Table) GRUB(mac inventory.MAC, server netip.Addr) (Script, error) {
	if mac == "" {
		return t.render("grub-any.tmpl", scriptData{Server: server.String()})
	}
	return t.render("grub.tmpl", t.scriptData(mac, server))
}

func (t *Table) render(name string, d scriptData) (Script, error) {
	var b bytes.Buffer
	if err := scripts.ExecuteTemplate(&b, name, d); err != nil {
		return Script{}, fmt.Errorf("render %s: %w", name, err)
	}
	return Script{Text: b.Bytes(), Answer: d.Answer, Why: d.Why}, nil
}
