package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"gopkg.in/yaml.v3"
)

func checkOutput(o string) error {
	if !slices.Contains([]string{"table", "wide", "json", "yaml"}, o) {
		return usage("--output %q (want table, wide, json or yaml)", o)
	}
	return nil
}

// column is one column of a table; wide ones show with -o wide alone.
type column[T any] struct {
	head string
	wide bool
	text func(T) string
}

// list prints rows as the output flag says.
func list[T any](a *app, rows []T, columns []column[T]) error {
	if a.output == "json" || a.output == "yaml" {
		return a.document(rows)
	}
	return table(a.out, rows, columns, a.output == "wide")
}

// document prints any value as JSON or YAML with the same keys.
func (a *app) document(v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	if a.output == "json" {
		_, err := a.out.Write(b.Bytes())
		return err
	}
	var node yaml.Node
	if err := yaml.Unmarshal(b.Bytes(), &node); err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	plainStyle(&node)
	y := yaml.NewEncoder(a.out)
	y.SetIndent(2)
	defer y.Close()
	return y.Encode(&node)
}

// plainStyle turns JSON's flow style into block style.
func plainStyle(n *yaml.Node) {
	n.Style &^= yaml.FlowStyle | yaml.DoubleQuotedStyle
	for _, c := range n.Content {
		plainStyle(c)
	}
}

// documentOr prints a document when asked for one, else calls text.
func (a *app) documentOr(v any, text func() error) error {
	if a.output == "json" || a.output == "yaml" {
		return a.document(v)
	}
	return text()
}

func table[T any](w io.Writer, rows []T, columns []column[T], wide bool) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	var heads []string
	for _, c := range columns {
		if wide || !c.wide {
			heads = append(heads, c.head)
		}
	}
	fmt.Fprintln(tw, strings.Join(heads, "\t"))
	for _, row := range rows {
		var cells []string
		for _, c := range columns {
			if wide || !c.wide {
				cells = append(cells, dash(c.text(row)))
			}
		}
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	return tw.Flush()
}

// count is "1 VM", "2 VMs".
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprint(n, " ", noun)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
