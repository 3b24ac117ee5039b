package httpboot

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"ingot/inventory"
)

// Listen opens a TCP socket. A port that is taken is inventory.ErrBusy.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen on TCP %s: another program has it; `ss -ltnp` names it, stop it there or choose another port: %w",
			address, errors.Join(inventory.ErrBusy, err))
	}
	if err != nil {
		return nil, fmt.Errorf("listen on TCP %s: %w", address, err)
	}
	return l, nil
}
