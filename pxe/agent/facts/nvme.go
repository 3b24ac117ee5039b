package facts

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"ingot/inventory"
)

// The NVMe admin commands that are sent (NVM Express Base Specification 2.0, 5).
const (
	nvmeGetLogPage = 0x02
	nvmeIdentify   = 0x06
	nvmeSMARTLog   = 0x02 // log identifier, 5.16.1.3
	nvmeAllSpaces  = 0xffffffff

	nvmeLogBytes      = 512
	nvmeIdentifyBytes = 4096
)

// nvmeWarnings are the bits of the critical warning (5.16.1.3, byte 0).
var nvmeWarnings = []string{"spare capacity is below its threshold", "temperature is outside its limits", "reliability is degraded by media errors",
	"media is read-only", "backup of the volatile memory failed", "persistent memory region is read-only or unreliable"}

func (r *reading) nvmeHealth(name string) (*inventory.DiskHealth, error) {
	log, err := r.ask(name, "nvme-smart", func() ([]byte, error) {
		return nvmeAdmin(name, nvmeGetLogPage, nvmeAllSpaces, nvmeSMARTLog|(nvmeLogBytes/4-1)<<16, nvmeLogBytes)
	})
	if err != nil {
		return nil, err
	}
	h, err := parseNVMeSMART(log)
	if err != nil {
		return nil, err
	}
	id, err := r.ask(name, "nvme-identify", func() ([]byte, error) {
		return nvmeAdmin(name, nvmeIdentify, 0, 1, nvmeIdentifyBytes) // CNS 1: the controller
	})
	if err == nil {
		warnHot(h, id)
	}
	return h, nil
}

// parseNVMeSMART reads the SMART / health information log (5.16.1.3, figure 207).
// Temperatures are in kelvin; counters of 16 bytes stop at the largest int64.
func parseNVMeSMART(b []byte) (*inventory.DiskHealth, error) {
	if len(b) < nvmeLogBytes {
		return nil, fmt.Errorf("NVMe health log has %d bytes", len(b))
	}
	h := &inventory.DiskHealth{Passed: b[0] == 0, PercentUsed: int(b[5]), PowerOnHours: counter(b[128:144]), MediaErrors: counter(b[160:176])}
	if kelvin := binary.LittleEndian.Uint16(b[1:]); kelvin != 0 {
		h.TemperatureC = int(kelvin) - 273
	}
	for bit, text := range nvmeWarnings {
		if b[0]&(1<<bit) != 0 {
			h.Warnings = append(h.Warnings, text)
		}
	}
	if h.MediaErrors > 0 {
		h.Warnings = append(h.Warnings, fmt.Sprintf("%d media errors", h.MediaErrors))
	}
	warnWorn(h)
	return h, nil
}

// warnHot compares with the warning temperature of the controller's identity (5.17.2.1,
// bytes 266 and 267; 0 when it gives none).
func warnHot(h *inventory.DiskHealth, identify []byte) {
	if len(identify) < 268 {
		return
	}
	if limit := int(binary.LittleEndian.Uint16(identify[266:])) - 273; limit > 0 && h.TemperatureC >= limit {
		h.Warnings = append(h.Warnings, fmt.Sprintf("temperature %d °C, the limit is %d °C", h.TemperatureC, limit))
	}
}

func counter(b []byte) int64 {
	low, high := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
	if high != 0 || low > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(low)
}

// nvmeCommand is struct nvme_passthru_cmd (linux/nvme_ioctl.h).
type nvmeCommand struct {
	opcode, flags         uint8
	_                     uint16
	nsid                  uint32
	_, _                  uint32
	_                     uint64
	data                  unsafe.Pointer
	metadataLen, dataLen  uint32
	cdw10                 uint32
	_, _, _, _, _         uint32
	timeoutMillis, result uint32
}

// nvmeIoctlAdmin is NVME_IOCTL_ADMIN_CMD, _IOWR('N', 0x41, struct nvme_passthru_cmd).
const nvmeIoctlAdmin = 0xc0484e41

const nvmeTimeoutMillis = 5000

// nvmeAdmin sends an admin command that reads n bytes. A positive result of the ioctl is
// the device's status.
func nvmeAdmin(name string, opcode uint8, nsid, cdw10 uint32, n int) ([]byte, error) {
	f, err := os.Open("/dev/" + name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	buf := make([]byte, n)
	cmd := nvmeCommand{opcode: opcode, nsid: nsid, data: unsafe.Pointer(&buf[0]), dataLen: uint32(n), cdw10: cdw10, timeoutMillis: nvmeTimeoutMillis}
	status, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), nvmeIoctlAdmin, uintptr(unsafe.Pointer(&cmd)))
	if errno != 0 {
		return nil, fmt.Errorf("NVMe admin command 0x%02x: %w", opcode, errno)
	}
	if status != 0 {
		return nil, fmt.Errorf("NVMe admin command 0x%02x: status 0x%x: %w", opcode, status, errors.ErrUnsupported)
	}
	return buf, nil
}
