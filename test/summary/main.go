// Command summary reads the output of go test -json: it shows what failed, with its
// output, and what was skipped, and fails when a test was skipped that should have run.
//
//	summary FILE.json          one part
//	summary -total FILE.json…  the closing line over all parts
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
)

// mayskip are the reasons for which a test may be skipped where all of them should run:
// parts that another step runs, measurements, and what this machine's kernel can't do.
var mayskip = regexp.MustCompile(strings.Join([]string{
	`end-to-end tests run with INGOT_TEST_E2E`,
	`boots take minutes: set INGOT_BOOT_TEST`,
	`some minutes: set INGOT_BUILD_TEST`,
	`a measurement, not a test`,
	`this kernel makes no partitions of loop devices, or knows no GPT`,
	`the kernel doesn't read partitions of loop devices`,
	`tracing is not allowed here`,
	`waits for a guest that may hang under KVM`,
	`longer than a frame`,
}, "|"))

// event is one line of go test -json.
type event struct {
	Action, Package, Test, Output string
}

type result struct {
	passed, failed, skipped int
	output                  map[string][]string
	bad                     []string
}

func main() {
	total := flag.Bool("total", false, "print the closing line over all files")
	flag.Parse()
	var r result
	r.output = map[string][]string{}
	for _, file := range flag.Args() {
		if err := r.read(file); err != nil {
			fmt.Fprintln(os.Stderr, "summary:", err)
			os.Exit(1)
		}
	}
	if *total {
		fmt.Printf("%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
	} else {
		r.show(os.Stdout)
	}
	if r.failed > 0 || len(r.bad) > 0 {
		os.Exit(1)
	}
}

func (r *result) read(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	scan := bufio.NewScanner(f)
	scan.Buffer(nil, 16<<20)
	for scan.Scan() {
		var e event
		if json.Unmarshal(scan.Bytes(), &e) != nil {
			continue // a line of the tool itself
		}
		r.add(e)
	}
	return scan.Err()
}

func (r *result) add(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output", "build-output":
		r.output[key] = append(r.output[key], e.Output)
	case "pass":
		if e.Test != "" {
			r.passed++
		}
		delete(r.output, key)
	case "fail", "build-fail":
		r.failed++
		r.bad = append(r.bad, "FAIL "+key+"\n"+strings.Join(r.output[key], ""))
	case "skip":
		r.skip(e, key)
	}
}

func (r *result) skip(e event, key string) {
	if e.Test == "" {
		return // a package without tests
	}
	r.skipped++
	reason := strings.Join(r.output[key], "")
	if !mayskip.MatchString(reason) {
		r.bad = append(r.bad, "SKIPPED, and should have run: "+key+"\n"+reason)
	}
}

func (r *result) show(w io.Writer) {
	for _, b := range r.bad {
		fmt.Fprintln(w, b)
	}
	fmt.Fprintf(w, "%d tests passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
}
