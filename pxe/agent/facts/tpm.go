package facts

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"ingot/inventory"
)

const tpmDir = "sys/class/tpm/tpm0"

// tpmWait is more than a discrete TPM needs for a capability.
const tpmWait = 3 * time.Second

// tpm reads the version from sysfs and asks a TPM 2.0 who made it.
func (r *reading) tpm(ctx context.Context) inventory.TPM {
	if !r.exists(tpmDir) {
		return inventory.TPM{}
	}
	t := inventory.TPM{Present: true, Version: "1.2", Manufacturer: tpm12Manufacturer(string(r.bytes(tpmDir + "/caps")))}
	if r.text(tpmDir, "tpm_version_major") != "2" {
		return t
	}
	t.Version = "2.0"
	answer, err := within(ctx, tpmWait, func() ([]byte, error) { return r.ask("tpm0", "tpm-manufacturer", askTPM) })
	if err == nil {
		t.Manufacturer, err = parseTPMManufacturer(answer)
	}
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		r.note("TPM: read manufacturer: %v", err)
	}
	return t
}

// tpmGetManufacturer is TPM2_GetCapability of the property TPM_PT_MANUFACTURER (TCG TPM
// 2.0 library, part 3, 30.2; part 2, 6.13): tag without sessions, size, command code,
// capability TPM_CAP_TPM_PROPERTIES, property, count.
var tpmGetManufacturer = []byte{0x80, 0x01, 0, 0, 0, 0x16, 0, 0, 0x01, 0x7a, 0, 0, 0, 6, 0, 0, 1, 5, 0, 0, 0, 1}

// askTPM sends the command through the kernel's resource manager, which shares the TPM.
func askTPM() ([]byte, error) {
	f, err := os.OpenFile("/dev/tpmrm0", os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		f, err = os.OpenFile("/dev/tpm0", os.O_RDWR, 0)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := f.Write(tpmGetManufacturer); err != nil {
		return nil, err
	}
	answer := make([]byte, 4096)
	n, err := f.Read(answer)
	return answer[:n], err
}

// parseTPMManufacturer reads the response: header of ten bytes, more-data flag,
// capability, count, and one pair of property and value, which is four characters.
func parseTPMManufacturer(b []byte) (string, error) {
	if len(b) < 10 {
		return "", fmt.Errorf("TPM answered %d bytes", len(b))
	}
	if code := binary.BigEndian.Uint32(b[6:]); code != 0 {
		return "", fmt.Errorf("TPM answered code 0x%x", code)
	}
	if len(b) < 27 || binary.BigEndian.Uint32(b[19:]) != 0x105 {
		return "", fmt.Errorf("TPM answered another property in %d bytes", len(b))
	}
	return clean(string(b[23:27])), nil
}

// tpm12Manufacturer reads the kernel's "caps" file of a TPM 1.2, whose manufacturer is
// four characters in hexadecimal.
func tpm12Manufacturer(caps string) string {
	for line := range strings.Lines(caps) {
		var v uint32
		if n, err := fmt.Sscanf(line, "Manufacturer: 0x%x", &v); err == nil && n == 1 {
			return clean(string(binary.BigEndian.AppendUint32(nil, v)))
		}
	}
	return ""
}
