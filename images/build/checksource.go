package build

import (
	"fmt"
	"slices"
	"strings"
)

func (r Recipe) checkSectors(c *checker) {
	const key = "sectorBytes"
	c.must(r.SectorBytes == 0 || r.SectorBytes == 512 || r.SectorBytes == 4096, key, "%d is not 512 or 4096", r.SectorBytes)
	given := r.Source != nil && (r.Source.Image != nil || r.Source.Installer != nil)
	c.must(r.SectorBytes == 0 || !given, key, "the disk's sectors are those of the source: leave it out")
}

func (r Recipe) checkSource(c *checker) {
	s := r.Source
	if s == nil {
		c.must(r.System == SystemDebian || r.System == SystemTiny, "system", "%q is not debian or tiny", r.System)
		c.archive(r.Archive)
		if r.System == SystemTiny {
			c.must(len(r.Steps) == 0 && len(r.Files) == 0 && len(r.Enable) == 0, "steps", "a tiny system has no files, units or steps: all of it is its initramfs")
		}
		return
	}
	given := 0
	for _, is := range []bool{s.Debian != nil, s.Image != nil, s.Installer != nil, s.OCI != nil} {
		if is {
			given++
		}
	}
	c.must(given == 1, "source", "%d sources are given, want one of debian, image, installer, oci", given)
	c.must(r.System == "", "system", "%q is for a bootstrap: leave it out with source", r.System)
	if s.Image != nil {
		c.input("source.image", s.Image.Input)
		c.must(slices.Contains([]string{"raw", "qcow2", "vmdk", "vhdx"}, s.Image.Format), "source.image.format", "%q is not raw, qcow2, vmdk or vhdx", s.Image.Format)
	}
	if s.Installer != nil {
		r.checkInstaller(c, *s.Installer)
	}
	if s.OCI != nil {
		c.archive(r.Archive)
		c.must(s.OCI.Layout != "", "source.oci.layout", "it is missing: name the folder of an OCI image layout")
		c.must(ociDigest.MatchString(s.OCI.Digest), "source.oci.digest", "%q is not sha256: and 64 hex digits", s.OCI.Digest)
		for i, a := range r.Steps {
			c.must(a.Script == nil && a.Users == nil && a.Services == nil, fmt.Sprintf("steps[%d]", i), "a step %s can't run in a container's file system: make it part of the container image", a.kind())
		}
		c.must(len(r.Enable) == 0, "enable", "units can't be enabled in a container's file system: make it part of the container image")
	}
}

func (r Recipe) checkInstaller(c *checker, in InstallerSource) {
	const key = "source.installer"
	kinds := []InstallerKind{InstallerPreseed, InstallerAutoinstall, InstallerKickstart, InstallerWindows}
	c.must(slices.Contains(kinds, in.Kind), key+".kind", "%q is not one of %s", in.Kind, kinds)
	c.must(in.Answer != "", key+".answer", "it is empty: the installer would ask")
	c.must(in.Firmware == "" || in.Firmware == "bios" || in.Firmware == "uefi", key+".firmware", "%q is not bios or uefi", in.Firmware)
	c.must(!strings.ContainsAny(in.CommandLine, "\n\r"), key+".commandLine", "%q has a line break", in.CommandLine)
	c.regexp(key+".accepted", in.Accepted)
	if in.Package != "" {
		c.archive(r.Archive)
		c.packages(key+".package", []string{in.Package})
		c.must(in.Kernel == nil && in.Initrd == nil, key+".kernel", "kernel and initrd come from the package %s: give kernelPath and initrdPath in it", in.Package)
		c.must(cleanAbsolute(in.KernelPath), key+".kernelPath", "%q is not a path in the package, like /usr/lib/.../linux", in.KernelPath)
		c.must(cleanAbsolute(in.InitrdPath), key+".initrdPath", "%q is not a path in the package, like /usr/lib/.../initrd.gz", in.InitrdPath)
		return
	}
	if in.Kind == InstallerWindows {
		c.must(in.ISO != nil, key+".iso", "it is missing: Windows is installed from its ISO")
	} else {
		c.must(in.Kernel != nil && in.Initrd != nil, key+".kernel", "kernel and initrd are missing: give both, or package")
	}
	for name, input := range map[string]*Input{"kernel": in.Kernel, "initrd": in.Initrd, "iso": in.ISO} {
		if input != nil {
			c.input(key+"."+name, *input)
		}
	}
}

func (c *checker) input(key string, in Input) {
	c.must((in.File == "") != (in.URL == ""), key+".file", "give either file or url")
	c.must(in.URL == "" || webURL(in.URL), key+".url", "%q is not an http or https URL", in.URL)
	c.must(hexDigest.MatchString(in.SHA256), key+".sha256", "%q is not 64 hex digits; sha256sum FILE prints them", in.SHA256)
}
