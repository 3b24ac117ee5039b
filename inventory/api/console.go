package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// ConsoleProtocol is what a connection is upgraded to for a console: bytes both ways.
const ConsoleProtocol = "ingot-console"

// ConsoleOfVM joins a virtual machine's serial port, until either side closes it.
func (c *Client) ConsoleOfVM(ctx context.Context, name string, force bool) (io.ReadWriteCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(c.Base, "/")+prefix+vmPath(name, "/console?force="+strconv.FormatBool(force)), nil)
	if err != nil {
		return nil, fmt.Errorf("open console: %w", err)
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", ConsoleProtocol)
	resp, err := c.do(req)
	if err != nil {
		return nil, err
	}
	rw, ok := resp.Body.(io.ReadWriteCloser)
	if resp.StatusCode != http.StatusSwitchingProtocols || !ok {
		resp.Body.Close()
		return nil, errors.New("open console: the server did not upgrade the connection; is there a proxy between?")
	}
	return rw, nil
}
