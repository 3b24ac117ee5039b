// Command benchpart is what scripts/bench measures of Ingot in a process of its own, so
// that its CPU and memory can be told apart. It has no more in it than that: what starting
// a larger program takes is no part of an import or a download, which a server does that
// runs already.
package main

import (
	"fmt"
	"os"
)

var parts = map[string]func(args []string) error{"serve": serve, "write": write, "copy": copyData, "import": importFile, "build": buildImage}

func main() {
	if len(os.Args) < 2 || parts[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: benchpart serve|write|copy|import|build ...")
		os.Exit(2)
	}
	if err := parts[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "benchpart:", err)
		os.Exit(1)
	}
}
