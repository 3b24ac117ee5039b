package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"ingot/inventory/api"
)

// defaults of the connection.
const (
	defaultServer    = "http://127.0.0.1:7470"
	defaultTokenFile = "/var/lib/ingot/admin.token"
)

// client connects to the server that flags, variables or defaults name.
func (a *app) client() (*api.Client, error) {
	base := first(a.server, os.Getenv("INGOT_SERVER"), defaultServer)
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	token := os.Getenv("INGOT_TOKEN")
	if a.tokenFile != "" || token == "" {
		data, err := os.ReadFile(first(a.tokenFile, os.Getenv("INGOT_TOKEN_FILE"), defaultTokenFile))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("no API token: set INGOT_TOKEN or give --token-file (the server keeps it in admin.token in its data directory): %w", err)
		}
		if err != nil {
			return nil, fmt.Errorf("read API token: %w", err)
		}
		token = strings.TrimSpace(string(data))
	}
	return &api.Client{Base: base, Token: token}, nil
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
