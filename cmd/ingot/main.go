// Command ingot is the whole of Ingot: the server and the command line.
//
// default.pgo tells the compiler what runs often (go build takes it by itself); it makes
// TFTP with many clients 3 to 4 % faster. It is of the load that scripts/bench has, and is
// made anew, with a FILE of 16 MiB, by
//
//	go test -c -trimpath -o /tmp/tftp.test ./pxe/tftp && TFTP_LOAD_FILE=FILE TFTP_LOAD_CLIENTS=100 \
//	  TFTP_LOAD_PROFILE=cmd/ingot/default.pgo /tmp/tftp.test -test.run '^TestLoad$'
package main

import (
	"os"

	"ingot/cmd/ingot/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:])) }
