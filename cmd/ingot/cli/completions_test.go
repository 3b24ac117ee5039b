package cli

import "testing"

// TestCompletions: each flag whose values are few has them offered by the shell.
func TestCompletions(t *testing.T) {
	root := (&app{}).root()
	for path, flags := range map[string][]string{
		"image test": {"mode"}, "agent test": {"mode"}, "image import": {"boots", "first-boot", "format"}, "image lint": {"boots", "first-boot", "format"},
		"image export": {"format"}, "vm create": {"firmware", "on", "image"}, "network add": {"dhcp"}, "serve": {"dhcp", "log-level"}, "deploy": {"image"},
	} {
		cmd := find(root, path)
		for _, flag := range flags {
			if _, ok := cmd.GetFlagCompletionFunc(flag); !ok {
				t.Errorf("%s --%s has no completion", path, flag)
			}
		}
	}
}
