// Package lint looks into a finished disk image for what makes machines fail or look
// alike after they were made from it: state of the machine it was built on, what the
// hypervisors miss, what firmware misses.
//
// It looks at the image and not at the recipe, so it can be held against images that
// were made elsewhere. What it can't see (a file system that is not read here) it says
// is not checked, and never that it is right.
package lint
