package libvirt

import (
	"encoding/xml"
	"regexp"
	"strings"
	"time"

	"libvirt.org/go/libvirtxml"

	"ingot/hypervisor"
)

// namespace is of our element in a domain's <metadata>, and metadataKey its prefix where
// libvirt chooses one.
const (
	namespace   = "urn:ingot:machine:1"
	metadataKey = "ingot"
)

// identity is what a domain says of its machine.
type identity struct {
	XMLName xml.Name `xml:"urn:ingot:machine:1 machine"`
	ID      string   `xml:"id"`
	// UUID is the domain's: a copy of it (virt-clone) is not the machine.
	UUID  string               `xml:"uuid"`
	Owner string               `xml:"owner"`
	Name  string               `xml:"name"`
	Image string               `xml:"image,omitempty"`
	Clone hypervisor.CloneKind `xml:"clone,omitempty"`
	Since time.Time            `xml:"since"`
}

// identityOf reads it; ok is false for a domain that is not Ingot's, or a copy of one.
func identityOf(d libvirtxml.Domain) (i identity, ok bool) {
	if d.Metadata == nil {
		return i, false
	}
	decoder := xml.NewDecoder(strings.NewReader(d.Metadata.XML))
	for {
		token, err := decoder.Token()
		if err != nil {
			return i, false
		}
		start, isStart := token.(xml.StartElement)
		if !isStart {
			continue
		}
		if start.Name.Space == namespace && start.Name.Local == "machine" {
			err := decoder.DecodeElement(&i, &start)
			return i, err == nil && i.UUID == d.UUID
		}
		if decoder.Skip() != nil {
			return i, false
		}
	}
}

// plainName is what libvirt, the file system and a shell all take for a domain's name.
var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// notPlain is all the rest.
var notPlain = regexp.MustCompile(`[^A-Za-z0-9._]+`)

// domainNames are the names to try for a domain: the person's own, if it is plain, and one
// that nobody else has. libvirt makes file names of them.
func domainNames(name, uuid string) []string {
	slug := strings.Trim(notPlain.ReplaceAllString(name, "-"), "-._")
	unique := strings.Trim(slug[:min(len(slug), 40)]+"-"+uuid[:13], "-")
	if plainName.MatchString(name) {
		return []string{name, unique}
	}
	return []string{unique}
}

// The volumes of a machine: "ingot-UUID-disk0.qcow2", "ingot-UUID-seed.img",
// "ingot-UUID-nvram.fd" and the snapshots' copies of the last.
func volumeStem(uuid string) string    { return "ingot-" + uuid + "-" }
func diskVolume(uuid string) string    { return volumeStem(uuid) + "disk" }
func seedVolume(uuid string) string    { return volumeStem(uuid) + "seed.img" }
func nvramVolume(uuid string) string   { return volumeStem(uuid) + "nvram.fd" }
func consoleVolume(uuid string) string { return volumeStem(uuid) + "console.log" }
