package vsphere

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"ingot/hypervisor"
)

// The keys in a machine's ExtraConfig. guestinfo. is not their prefix: the guest need not
// see them.
const (
	keyID    = "ingot.id"
	keyOwner = "ingot.owner"
	keyImage = "ingot.image"
	keyName  = "ingot.name"
	// keyReady is the digest of an image that is whole.
	keyReady = "ingot.image.ready"
)

const (
	// nameMax keeps under vCenter's limit for a virtual machine's name: the API reference
	// wants less than 80 characters (ManagedEntity.Rename_Task), other clients send up to 80
	// (vmware/terraform-provider-vsphere#1331). We count bytes.
	nameMax = 79
	// markLetters of a UUID end an inventory name: 48 bits of a hash.
	markLetters = 12
	imagePrefix = "ingot-image-"
	seedPrefix  = "seed-"
	baseName    = "base"
)

// mark is what makes names of one machine unique, and its directories findable.
func mark(owner, id string) string {
	return strings.ReplaceAll(hypervisor.UUID(owner, id), "-", "")[:markLetters]
}

// inventoryName is a legal unique name for a machine: what can be kept of the person's
// name, and a mark. vCenter keeps / \ and % as %2f, %5c and %25, and uses the name for
// the directory on the datastore; so only letters and digits stay.
func inventoryName(owner, id, name string) string {
	var kept strings.Builder
	for _, r := range name {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || r == '.' && kept.Len() > 0:
		case kept.Len() == 0 || strings.HasSuffix(kept.String(), "-"):
			continue
		default:
			r = '-'
		}
		if kept.Len()+utf8.RuneLen(r) > nameMax-1-markLetters {
			break
		}
		kept.WriteRune(r)
	}
	return strings.TrimLeft(strings.Trim(kept.String(), "-.")+"-"+mark(owner, id), "-")
}

// imageName is the inventory name of an image; two owners have two.
func imageName(owner, digest string) string { return imagePrefix + mark(owner, "image "+digest) }

// seedDirectory holds a machine's seed disk.
func seedDirectory(owner, id string) string { return seedPrefix + mark(owner, id) }

// unescape turns a name as vCenter keeps it into the one that was given
// (ManagedEntity.name in the API reference).
var unescape = strings.NewReplacer("%2f", "/", "%2F", "/", "%5c", `\`, "%5C", `\`, "%25", "%").Replace
