// Command ingot-agent is PID 1 of the boot environment.
package main

import "ingot/pxe/agent"

// version is set by the builder.
var version = "dev"

func main() { agent.Main(version) }
