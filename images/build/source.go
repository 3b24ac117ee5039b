package build

// Source is where the system of an image comes from: exactly one of its fields is set.
type Source struct {
	// Debian is a bootstrap; parsing moves it to the recipe's Archive.
	Debian *Archive `yaml:"debian" json:"-"`
	// Image is an existing disk image, customised by booting it.
	Image *ImageSource `yaml:"image" json:"image,omitempty"`
	// Installer is an unattended installation.
	Installer *InstallerSource `yaml:"installer" json:"installer,omitempty"`
	// OCI is a container image and a kernel from the recipe's Archive.
	OCI *OCISource `yaml:"oci" json:"oci,omitempty"`
}

// Input is a file that a build reads, known by its SHA-256.
type Input struct {
	// File is beside the recipe, or absolute; URL is http or https. One of them.
	File string `yaml:"file" json:"-"`
	URL  string `yaml:"url" json:"-"`
	// SHA256 is 64 hex digits.
	SHA256 string `yaml:"sha256" json:"sha256"`
}

// ImageSource is a cloud image that somebody made.
type ImageSource struct {
	Input `yaml:",inline"`
	// Format is raw, qcow2, vmdk or vhdx.
	Format string `yaml:"format" json:"format"`
}

// InstallerKind is the kind of an installer's answer file.
type InstallerKind string

// The installers.
const (
	InstallerPreseed     InstallerKind = "debian-preseed"
	InstallerAutoinstall InstallerKind = "ubuntu-autoinstall"
	InstallerKickstart   InstallerKind = "kickstart"
	InstallerWindows     InstallerKind = "windows-unattend"
)

// InstallerSource is an installer and the answers to its questions.
type InstallerSource struct {
	Kind InstallerKind `yaml:"kind" json:"kind"`
	// Package of the recipe's archive holds kernel and initrd, which are then paths in it:
	// debian-installer-12-netboot-amd64. Without it Kernel and Initrd are inputs.
	Package    string `yaml:"package" json:"package,omitempty"`
	KernelPath string `yaml:"kernelPath" json:"kernelPath,omitempty"`
	InitrdPath string `yaml:"initrdPath" json:"initrdPath,omitempty"`
	Kernel     *Input `yaml:"kernel" json:"kernel,omitempty"`
	Initrd     *Input `yaml:"initrd" json:"initrd,omitempty"`
	ISO        *Input `yaml:"iso" json:"iso,omitempty"`
	// Answer is the answer file; AnswerFrom a file beside the recipe with it.
	Answer     string `yaml:"answer" json:"answer"`
	AnswerFrom string `yaml:"answerFrom" json:"-"`
	// CommandLine is the installer's kernel command line.
	CommandLine string `yaml:"commandLine" json:"commandLine"`
	// Accepted is a regular expression (RE2) that the console shows once the answers
	// are taken.
	Accepted string `yaml:"accepted" json:"accepted,omitempty"`
	// Firmware is bios or uefi; empty is uefi.
	Firmware string `yaml:"firmware" json:"firmware,omitempty"`
}

// OCISource is an image in an OCI image layout (OCI image spec 1.1, image-layout.md).
type OCISource struct {
	// Layout is a folder beside the recipe, or an absolute path.
	Layout string `yaml:"layout" json:"-"`
	// Digest of the manifest (or of an index with one for linux/amd64).
	Digest string `yaml:"digest" json:"digest"`
}
