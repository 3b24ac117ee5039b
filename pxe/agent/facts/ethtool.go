package facts

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"ingot/inventory"
)

// The ethtool questions (linux/ethtool.h) and the sizes of their structures.
const (
	ethtoolDriverInfo = unix.ETHTOOL_GDRVINFO
	ethtoolPermanent  = unix.ETHTOOL_GPERMADDR

	driverInfoBytes = 196 // struct ethtool_drvinfo
	permanentBytes  = 40  // struct ethtool_perm_addr and MAX_ADDR_LEN
)

// ethtool asks an interface's driver; the answer has the command in its first four
// bytes, as the kernel leaves it.
func ethtool(name string, command uint32, n int) ([]byte, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("ethtool socket: %w", err)
	}
	defer unix.Close(fd)
	buf := make([]byte, n)
	binary.NativeEndian.PutUint32(buf, command)
	switch command {
	case ethtoolPermanent:
		binary.NativeEndian.PutUint32(buf[4:], uint32(n-8))
	case unix.ETHTOOL_GSTRINGS:
		binary.NativeEndian.PutUint32(buf[4:], privateFlagString)
		binary.NativeEndian.PutUint32(buf[8:], maxPrivateFlags)
	}
	req := struct { // struct ifreq
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&buf[0])}
	copy(req.name[:unix.IFNAMSIZ-1], name)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))); errno != 0 {
		return nil, fmt.Errorf("ethtool 0x%x of %s: %w", command, name, errno)
	}
	return buf, nil
}

// parseDriverInfo takes the firmware's version; drivers without one say "N/A".
func parseDriverInfo(b []byte) string {
	if len(b) < driverInfoBytes {
		return ""
	}
	if v := clean(string(b[68:100])); v != "N/A" {
		return v
	}
	return ""
}

// parsePermanent takes the address that the card was made with, which stays when the
// interface is given another one.
func parsePermanent(b []byte) (inventory.MAC, bool) {
	if len(b) < 14 || binary.NativeEndian.Uint32(b[4:]) != 6 {
		return "", false
	}
	mac, err := inventory.MACFrom(b[8:14])
	return mac, err == nil
}
