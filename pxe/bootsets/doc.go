// Package bootsets keeps the sets of boot files side by side, decides which one machines
// boot, and renews it: a set that was made from newer packages is booted in a virtual
// machine before the first real one gets it.
//
// A directory has
//
//	sets/ID/           a set: its files, manifest.json (see package bootfiles), record.json
//	sets/ID/test/MODE/ console log, screenshot and server log of its newest boot test
//	sets/ID/served     touched when a machine was given a file of it
//	current            a link to the set that boots begin with, moved by rename
//	lock               held by who builds, tests or moves
//	part-HASH          compressed modules, for the next build
//	test/              the rack of the boot test under way
//
// Scripts name the set in the paths of kernel and first stage and on the kernel's command
// line, so a machine in the middle of a boot gets the files of the set that it began with,
// whatever becomes current meanwhile. A set goes when it is neither current nor the one
// before, and no machine uses it.
package bootsets
