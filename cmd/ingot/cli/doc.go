// Package cli is the ingot command line: one file per verb, tables and bars for people,
// JSON and YAML for programs.
//
// Exit codes: 0 done, 1 failed, 2 wrong usage.
package cli
