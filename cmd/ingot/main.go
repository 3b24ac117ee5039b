// Command ingot is the whole of Ingot: the server and the command line.
package main

import (
	"os"

	"ingot/cmd/ingot/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:])) }
