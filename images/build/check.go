package build

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"ingot/images/master"
	"ingot/inventory"
)

// problem is what is wrong with the value of a key.
type problem struct{ key, text string }

var (
	packageName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)
	unitName    = regexp.MustCompile(`^[A-Za-z0-9:_.@\\-]+\.(service|timer|socket|target|path|mount)$`)
	plainWord   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)
	userName    = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`)
	ownerName   = regexp.MustCompile(`^[a-z0-9_][a-z0-9_-]*(:[a-z0-9_][a-z0-9_-]*)?$`)
	envName     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	hexDigest   = regexp.MustCompile(`^[0-9a-f]{64}$`)
	ociDigest   = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

// checker collects problems.
type checker struct{ list []problem }

func (c *checker) add(key, format string, args ...any) {
	c.list = append(c.list, problem{key, fmt.Sprintf(format, args...)})
}

// must notes a problem unless ok.
func (c *checker) must(ok bool, key, format string, args ...any) {
	if !ok {
		c.add(key, format, args...)
	}
}

// Check returns an inventory.ErrInvalid that names the first key which is wrong.
func (r Recipe) Check() error {
	for _, p := range r.problems() {
		return inventory.Invalid("%skey %s: %s", r.place(p.key), p.key, p.text)
	}
	return nil
}

// problems are all that is wrong, in the order of the keys.
func (r Recipe) problems() []problem {
	c := &checker{}
	if inventory.CheckImageName(r.Name) != nil {
		c.add("name", "%q is not a name like debian-12: a-z, 0-9, - and dots", r.Name)
	}
	r.checkSource(c)
	c.must(r.SizeMiB >= 64 && r.SizeMiB <= 1<<20, "sizeMiB", "%d is not between 64 and 1048576", r.SizeMiB)
	r.checkSectors(c)
	c.must(!strings.ContainsAny(r.KernelCommandLine, "\n\r'\"\\$;{}"), "kernelCommandLine", "%q holds a character that GRUB would interpret", r.KernelCommandLine)
	c.packages("packages", r.Packages)
	c.units("enable", r.Enable)
	c.files("files", r.Files)
	for i, a := range r.Steps {
		c.action(fmt.Sprintf("steps[%d]", i), a)
	}
	r.checkTests(c)
	return c.list
}

func (r Recipe) checkTests(c *checker) {
	for i, check := range r.Checks {
		at := fmt.Sprintf("checks[%d]", i)
		c.must(check.Name != "", at+".name", "it is empty")
		c.must(check.Command != "", at+".command", "it is empty")
		c.regexp(at+".expect", check.Expect)
		c.must(check.ExitCode >= 0 && check.ExitCode <= 255, at+".exitCode", "%d is not between 0 and 255", check.ExitCode)
	}
	modes := []master.BootMode{master.BootBIOS, master.BootUEFI, master.BootSecureBoot}
	for i, m := range r.Test.Modes {
		c.must(slices.Contains(modes, m), fmt.Sprintf("test.modes[%d]", i), "%q is not one of %s", m, modes)
		c.must(m != master.BootBIOS || r.bootsBIOS(), fmt.Sprintf("test.modes[%d]", i), "no BIOS boots a disk with sectors of %d bytes", r.sectorBytes())
	}
	if r.Test.Timeout != "" {
		d, err := time.ParseDuration(r.Test.Timeout)
		c.must(err == nil && d > 0, "test.timeout", "%q is not a time like 10m", r.Test.Timeout)
	}
	c.must(r.Test.MemoryMiB == 0 || r.Test.MemoryMiB >= 128, "test.memoryMiB", "%d is less than 128", r.Test.MemoryMiB)
}

func (c *checker) regexp(key, expression string) {
	_, err := regexp.Compile(expression)
	c.must(err == nil, key, "%q is not a regular expression: %v", expression, err)
}
