package hyperv

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
)

// paths are where things lie at the host.
type paths struct{ root, owner string }

const (
	ingotFolder, imagesFolder = "ingot", "images"
	// machineName is what a machine is called while it is made: Hyper-V names a folder so.
	machineName = "machine"
	seedFile    = "seed.vhdx"
	vhdx        = ".vhdx"
	partSuffix  = ".part.vhdx"
	lockSuffix  = ".lock"
)

func newPaths(storage, owner string) paths {
	root := strings.TrimRight(storage, `\`) + `\` + ingotFolder
	return paths{root: root, owner: root + `\` + folderName(owner)}
}

// plain is what can be a folder's name as it is. Windows does not tell upper case from
// lower case, so upper case is not plain.
var plain = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,35}$`)

// reserved are names that are devices (Win32 "Naming Files, Paths, and Namespaces") or ours.
var reserved = regexp.MustCompile(`^(con|prn|aux|nul|com[0-9]|lpt[0-9]|images)$`)

var notPlain = regexp.MustCompile(`[^a-z0-9]+`)

// folderName is a folder's name that no other text has.
func folderName(text string) string {
	if plain.MatchString(text) && !reserved.MatchString(text) {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	slug := notPlain.ReplaceAllString(strings.ToLower(text), "-")
	return strings.Trim(slug[:min(len(slug), 20)], "-") + "." + hex.EncodeToString(sum[:8])
}

// machine is the folder of all that is made for a machine.
func (p paths) machine(id string) string { return p.owner + `\` + folderName(id) }

// lock is the file that says that a script works on a machine, imageLock on an image. No
// folder has such a name.
func (p paths) lock(id string) string { return p.machine(id) + lockSuffix }

func (p paths) imageLock(digest string) string {
	return p.images() + `\` + stem(digest) + lockSuffix
}

// home is the folder of all that was made for a machine, by the machine's own path: it
// stays where it was made when another storage is configured. It is empty for one that lies
// elsewhere.
func (p paths) home(path, id string) string {
	folder := path[:max(0, strings.LastIndex(path, `\`))]
	tail := strings.TrimPrefix(p.machine(id), p.root)
	if samePath(base(path), machineName) && strings.HasSuffix(strings.ToLower(folder), strings.ToLower(`\`+ingotFolder+tail)) {
		return folder
	}
	return ""
}

func (p paths) images() string { return p.root + `\` + imagesFolder }

func (p paths) image(digest string) string { return p.images() + `\` + stem(digest) + vhdx }

// part is where an artefact is fetched to: two of one image don't mix.
func (p paths) part(digest, sha256 string) string {
	return p.images() + `\` + stem(digest) + "." + sha256[:min(len(sha256), 16)] + partSuffix
}

// digestForm is the form of an image's digest.
var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

func stem(digest string) string { return strings.TrimPrefix(digest, "sha256:") }

// below reports whether a path is in a folder; Windows does not tell case.
func below(path, folder string) bool {
	return strings.HasPrefix(strings.ToLower(path)+`\`, strings.ToLower(folder)+`\`)
}

// base is a path's last part.
func base(path string) string { return path[strings.LastIndex(path, `\`)+1:] }

func samePath(a, b string) bool { return strings.EqualFold(a, b) }

func hasPath(all []string, path string) bool {
	return slices.ContainsFunc(all, func(p string) bool { return samePath(p, path) })
}
