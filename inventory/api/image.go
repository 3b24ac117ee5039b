package api

import (
	"ingot/inventory"
)

// ImageImport asks the server to import a file that it can read, or that is at a URL.
type ImageImport struct {
	// Path is absolute, or an http or https URL.
	Path   string `json:"path"`
	Name   string `json:"name"`
	Format string `json:"format,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
	// Channel is moved to the image; empty is stable, "-" none. Untested moves it without
	// a boot test.
	Channel  string `json:"channel,omitempty"`
	Untested bool   `json:"untested,omitempty"`
	// FirstBoot is cloud-init or none.
	FirstBoot     string   `json:"firstBoot,omitempty"`
	GrowPartition string   `json:"growPartition,omitempty"`
	BootModes     []string `json:"bootModes,omitempty"`
}

// ImageBuild asks the server to build a recipe.
type ImageBuild struct {
	// Recipe is the name of a built-in recipe, a path on the server, or the name of Text.
	Recipe string `json:"recipe"`
	// Text is the recipe itself, which needs no file beside it.
	Text string `json:"text,omitempty"`
	// Set gives the recipe's variables.
	Set map[string]string `json:"set,omitempty"`
	// Channel and Untested are as in ImageImport.
	Channel  string `json:"channel,omitempty"`
	Untested bool   `json:"untested,omitempty"`
	Force    bool   `json:"force,omitempty"`
}

// ImageTest asks for boot tests of an image, in all its modes when none is named.
type ImageTest struct {
	Image string   `json:"image"`
	Modes []string `json:"modes,omitempty"`
}

// ImageExport asks the server to write an image to a file of its own.
type ImageExport struct {
	Image     string `json:"image"`
	Format    string `json:"format"`
	Path      string `json:"path"`
	Overwrite bool   `json:"overwrite,omitempty"`
}

// ImagePromote moves a channel to where another one points.
type ImagePromote struct {
	Name string `json:"name"`
	From string `json:"from"`
	To   string `json:"to"`
}

// ImageRollback moves a channel to where it pointed before.
type ImageRollback struct {
	Name    string `json:"name"`
	Channel string `json:"channel"`
}

// ImageRefs names images, and keys to check with where that is asked.
type ImageRefs struct {
	Image string   `json:"image"`
	Other string   `json:"other,omitempty"`
	Keys  []string `json:"keys,omitempty"`
}

// ImageSigned is a signature that is right.
type ImageSigned struct {
	KeyID   string `json:"keyId"`
	Comment string `json:"comment"`
}

// ImageDiff is what changed from one version to another.
type ImageDiff struct {
	Packages []ImagePackageChange `json:"packages"`
	Files    []ImageFileChange    `json:"files"`
	// AddedBytes and RemovedBytes are of files that came, went, or changed.
	AddedBytes   int64 `json:"addedBytes"`
	RemovedBytes int64 `json:"removedBytes"`
}

// ImagePackageChange is a package in one of two versions, or in both and different.
type ImagePackageChange struct {
	Name string `json:"name"`
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
}

// ImageFileChange is a file that was added, removed, or has other content or mode.
type ImageFileChange struct {
	Path     string `json:"path"`
	What     string `json:"what"`
	OldBytes int64  `json:"oldBytes,omitempty"`
	NewBytes int64  `json:"newBytes,omitempty"`
}

// ImageHistory are the versions of a name and the moves of its channels.
type ImageHistory struct {
	Moves    []inventory.ChannelMove `json:"moves"`
	Versions []ImageRow              `json:"versions"`
}

// ImageCollect asks what can go, and without DryRun takes it away.
type ImageCollect struct {
	DryRun bool `json:"dryRun,omitempty"`
}

// ImageRefresh asks to look at the bucket that is shared with other servers, or to fetch
// one image from it.
type ImageRefresh struct {
	Image string `json:"image,omitempty"`
}

// ImageShared is an image in the bucket. Here tells whether this server has it too.
type ImageShared struct {
	inventory.Image
	Channels []string `json:"channels,omitempty"`
	Here     bool     `json:"here"`
}

// ImageDecision is what becomes of one image, in the server's store or in the bucket.
type ImageDecision struct {
	Name       string `json:"name"`
	Digest     string `json:"digest"`
	Version    string `json:"version,omitempty"`
	Bucket     bool   `json:"bucket,omitempty"`
	Keep       bool   `json:"keep"`
	Why        string `json:"why"`
	FreesBytes int64  `json:"freesBytes"`
}

// LintFinding is one check of an image's contents.
type LintFinding struct {
	Check  string `json:"check"`
	Level  string `json:"level"`
	Detail string `json:"detail,omitempty"`
	Fix    string `json:"fix,omitempty"`
}

// ScheduleRow is a schedule with its times.
type ScheduleRow struct {
	inventory.Schedule
	Times   string `json:"times"`
	Recipe  string `json:"recipe"`
	Channel string `json:"channel"`
}

// WorkLine is one line of the answer to long work: progress, and at the end Image,
// BootSet or Error.
type WorkLine struct {
	Step    string             `json:"step,omitempty"`
	Bytes   int64              `json:"bytes,omitempty"`
	Total   int64              `json:"total,omitempty"`
	Index   int                `json:"index,omitempty"`
	Count   int                `json:"count,omitempty"`
	Image   *inventory.Image   `json:"image,omitempty"`
	BootSet *inventory.BootSet `json:"bootSet,omitempty"`
	// Shared is what a bucket has, nil in all lines but the last one.
	Shared []ImageShared `json:"shared,omitzero"`
	Error  string        `json:"error,omitempty"`
	// Unchanged: the image was there already.
	Unchanged bool `json:"unchanged,omitempty"`
}
