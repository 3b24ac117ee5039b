package facts

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"ingot/inventory"
)

// The log pages that are asked for (SPC-5, 7.3 and SBC-4, 6.4).
const (
	logReadErrors  = 0x03
	logTemperature = 0x0d
	logSolidState  = 0x11
	logBackground  = 0x15
	logExceptions  = 0x2f
	logBytes       = 512
	scsiLogSense   = 0x4d
)

// scsiHealth reads the informational exceptions page, and what else the disk has. A
// device without that page (most RAID controllers, virtual disks) has no health.
func (r *reading) scsiHealth(name string) (*inventory.DiskHealth, error) {
	page, err := r.logPage(name, logExceptions)
	if err != nil {
		return nil, err
	}
	h := &inventory.DiskHealth{}
	if h.Passed, err = parseExceptions(page, h); err != nil {
		return nil, err
	}
	for _, code := range []byte{logReadErrors, logTemperature, logSolidState, logBackground} {
		if page, err := r.logPage(name, code); err == nil {
			addLogPage(h, code, page)
		}
	}
	warnWorn(h)
	return h, nil
}

func (r *reading) logPage(name string, code byte) (map[uint16][]byte, error) {
	page, err := r.ask(name, fmt.Sprintf("scsi-log-%02x", code), func() ([]byte, error) {
		// LOG SENSE of cumulative values (SPC-5, 6.7).
		cdb := []byte{scsiLogSense, 0, 0x40 | code, 0, 0, 0, 0, logBytes >> 8, logBytes & 0xff, 0}
		data, _, err := scsiCommand(name, cdb, logBytes)
		return data, err
	})
	if err != nil {
		return nil, err
	}
	return parseLogPage(code, page)
}

// parseLogPage splits a log page into its parameters (SPC-5, 7.3.2): four bytes of
// header each with code and length.
func parseLogPage(code byte, b []byte) (map[uint16][]byte, error) {
	if len(b) < 4 || b[0]&0x3f != code || b[0]&0x40 != 0 {
		return nil, fmt.Errorf("log page %02x: another page came", code)
	}
	out := map[uint16][]byte{}
	for rest := b[4:min(len(b), 4+int(binary.BigEndian.Uint16(b[2:])))]; len(rest) >= 4; {
		n := int(rest[3])
		if n > len(rest)-4 {
			break
		}
		out[binary.BigEndian.Uint16(rest)] = rest[4 : 4+n]
		rest = rest[4+n:]
	}
	return out, nil
}

// parseExceptions reads parameter 0 of page 2F: the additional sense code 5Dh predicts a
// failure, 0Bh is a warning (SPC-5, 7.3.10); then the temperature.
func parseExceptions(page map[uint16][]byte, h *inventory.DiskHealth) (bool, error) {
	p := page[0]
	if len(p) < 2 {
		return false, errors.New("informational exceptions page has no parameter 0")
	}
	if len(p) > 2 && p[2] != 0xff {
		h.TemperatureC = int(p[2])
	}
	switch p[0] {
	case 0x5d:
		h.Warnings = append(h.Warnings, fmt.Sprintf("the disk predicts its failure (sense code 5D/%02X)", p[1]))
		return false, nil
	case 0x0b:
		h.Warnings = append(h.Warnings, fmt.Sprintf("the disk warns (sense code 0B/%02X)", p[1]))
	}
	return true, nil
}

func addLogPage(h *inventory.DiskHealth, code byte, page map[uint16][]byte) {
	switch code {
	case logReadErrors: // parameter 6: errors that were not corrected
		if n := bigEndian(page[6]); n > 0 {
			h.MediaErrors = n
			h.Warnings = append(h.Warnings, fmt.Sprintf("%d reads could not be corrected", n))
		}
	case logTemperature: // parameter 0: now; FFh is unknown
		if p := page[0]; len(p) >= 2 && p[1] != 0xff {
			h.TemperatureC = int(p[1])
		}
	case logSolidState: // parameter 1: percentage used endurance indicator
		if p := page[1]; len(p) >= 4 {
			h.PercentUsed = int(p[3])
		}
	case logBackground: // parameter 0 begins with minutes of power
		if p := page[0]; len(p) >= 4 {
			h.PowerOnHours = int64(binary.BigEndian.Uint32(p)) / 60
		}
	}
}

// bigEndian reads a counter of any length up to eight bytes.
func bigEndian(b []byte) int64 {
	if len(b) > 8 {
		return 0
	}
	var n uint64
	for _, v := range b {
		n = n<<8 | uint64(v)
	}
	return int64(n & (1<<63 - 1))
}

// sgIO is struct sg_io_hdr (scsi/sg.h).
type sgIO struct {
	interfaceID                   int32
	direction                     int32
	cdbLen, senseMax              uint8
	iovecCount                    uint16
	dataLen                       uint32
	data, cdb, sense              unsafe.Pointer
	timeoutMillis, flags          uint32
	packID                        int32
	user                          unsafe.Pointer
	status, masked, msg, senseLen uint8
	hostStatus, driverStatus      uint16
	residual                      int32
	durationMillis, infoFlags     uint32
}

const (
	sgFromDevice    = -3     // SG_DXFER_FROM_DEV
	sgNoData        = -1     // SG_DXFER_NONE
	sgIoctl         = 0x2285 // SG_IO (scsi/sg.h)
	sgTimeoutMillis = 5000
	senseBytes      = 64
)

// scsiCommand sends a command that reads n bytes, or none, and returns them and the
// sense data. A status other than good is an error; sense data may come with it.
func scsiCommand(name string, cdb []byte, n int) (data, sense []byte, err error) {
	f, err := os.Open("/dev/" + name)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	data, sense = make([]byte, max(n, 1)), make([]byte, senseBytes)
	h := sgIO{interfaceID: 'S', direction: sgFromDevice, cdbLen: uint8(len(cdb)), senseMax: senseBytes, dataLen: uint32(n),
		data: unsafe.Pointer(&data[0]), cdb: unsafe.Pointer(&cdb[0]), sense: unsafe.Pointer(&sense[0]), timeoutMillis: sgTimeoutMillis}
	if n == 0 {
		h.direction, h.data = sgNoData, nil
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), sgIoctl, uintptr(unsafe.Pointer(&h))); errno != 0 {
		return nil, nil, fmt.Errorf("SCSI command 0x%02x: %w", cdb[0], errno)
	}
	sense = sense[:min(int(h.senseLen), senseBytes)]
	if h.status != 0 || h.hostStatus != 0 {
		return nil, sense, fmt.Errorf("SCSI command 0x%02x: status 0x%02x, host status 0x%x, sense % x: %w", cdb[0], h.status, h.hostStatus, sense, errors.ErrUnsupported)
	}
	return data[:max(0, n-int(h.residual))], sense, nil
}
