package daemon

import (
	"io"
	"log/slog"

	"ingot/inventory"
)

func level(name string) (slog.Level, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(name)); err != nil {
		return l, inventory.Invalid("log.level: %q (want debug, info, warn or error)", name)
	}
	return l, nil
}

func logger(c Log, w io.Writer) *slog.Logger {
	l, _ := level(c.Level) // checked with the configuration
	o := &slog.HandlerOptions{Level: l}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
