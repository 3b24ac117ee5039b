package hyperv

import (
	"embed"
	"slices"
	"strings"

	"ingot/hypervisor/hyperv/powershell"
)

//go:embed scripts/*.ps1
var scriptFiles embed.FS

// The scripts, by name. common.ps1 stands before each.
var (
	hostScript             = load("host")
	placeScript            = load("place")
	listScript             = load("list")
	watchScript            = load("watch")
	pullScript             = load("pull")
	finishImageScript      = load("finishimage")
	removeImageScript      = load("removeimage")
	createScript           = load("create")
	deleteScript           = load("delete")
	powerScript            = load("power")
	checkpointsScript      = load("checkpoints")
	checkpointScript       = load("checkpoint")
	restoreScript          = load("restore")
	removeCheckpointScript = load("removecheckpoint")
	growDiskScript         = load("growdisk")
	setSizeScript          = load("setsize")
	setNotesScript         = load("setnotes")
)

const commonFile = "common.ps1"

func load(name string) powershell.Script {
	return powershell.Script{Name: name, Text: read(commonFile) + "\n" + read(name+".ps1")}
}

func read(file string) string {
	text, err := scriptFiles.ReadFile("scripts/" + file)
	if err != nil {
		panic("hyperv: " + err.Error()) // it is embedded
	}
	return string(text)
}

// Scripts are all scripts as they are run, by name; hypervisor/hyperv/sim knows them by
// their text's hash.
func Scripts() []powershell.Script {
	files, err := scriptFiles.ReadDir("scripts")
	if err != nil {
		panic("hyperv: " + err.Error()) // it is embedded
	}
	var all []powershell.Script
	for _, f := range files {
		if f.Name() != commonFile {
			all = append(all, load(strings.TrimSuffix(f.Name(), ".ps1")))
		}
	}
	slices.SortFunc(all, func(a, b powershell.Script) int { return strings.Compare(a.Name, b.Name) })
	return all
}
