package tftp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
)

const (
	latencyDevice = "/dev/cpu_dma_latency"
	idleDriver    = "/sys/devices/system/cpu/cpuidle/current_driver"
)

// lowLatency asks the kernel for processors that wake within a time, for as long as the
// device is open (Documentation/power/pm_qos_interface.rst). Only root may.
func lowLatency() (end func() error, err error) {
	f, err := os.OpenFile(latencyDevice, os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("ask for low latency: %w", err)
	}
	if _, err := f.Write(binary.NativeEndian.AppendUint32(nil, latencyMicroseconds(idleDriver))); err != nil {
		return nil, fmt.Errorf("ask for low latency: %w", errors.Join(err, f.Close()))
	}
	return f.Close, nil
}

// latencyMicroseconds is 0, which means no sleep at all, in a virtual machine, where each
// is expensive; elsewhere the lightest sleep may stay: it costs a microsecond or two.
func latencyMicroseconds(driverFile string) uint32 {
	driver, err := os.ReadFile(driverFile)
	if err == nil && strings.TrimSpace(string(driver)) == "haltpoll" {
		return 0
	}
	return 2
}
