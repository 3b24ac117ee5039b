package facts

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"ingot/inventory"
)

// The ATA commands that are sent (ACS-3, 7.12 and 7.48; SMART attributes are in the older
// ATA/ATAPI-5 and the makers' documents).
const (
	ataIdentify      = 0xec
	ataSMART         = 0xb0
	smartData        = 0xd0
	smartThresholds  = 0xd1
	smartStatus      = 0xda
	ataIdentifyBytes = 512
)

// ataID is what is taken from IDENTIFY DEVICE data.
type ataID struct {
	model, serial, firmware, wwn string
	smart                        bool
}

// parseATAIdentify reads IDENTIFY DEVICE data (ACS-3, 7.12.7). Texts have the two
// characters of each word swapped; the words of the WWN are in order. b has at least
// ataIdentifyBytes.
func parseATAIdentify(b []byte) ataID {
	word := func(n int) uint16 { return binary.LittleEndian.Uint16(b[2*n:]) }
	text := func(first, last int) string {
		var s []byte
		for n := first; n <= last; n++ {
			s = append(s, byte(word(n)>>8), byte(word(n)))
		}
		return clean(string(s))
	}
	id := ataID{serial: text(10, 19), firmware: text(23, 26), model: text(27, 46)}
	// Word 82 bit 0: SMART is there; word 85 bit 0: it is on. Words are valid with bit 14
	// set and 15 clear in word 83.
	id.smart = word(83)>>14 == 1 && word(82)&1 != 0 && word(85)&1 != 0
	if word(87)>>14 == 1 && word(87)&(1<<8) != 0 {
		var name []byte
		for n := 108; n <= 111; n++ {
			name = binary.BigEndian.AppendUint16(name, word(n))
		}
		if name[0]>>4 == 5 { // NAA 5: registered by the IEEE
			id.wwn = "0x" + hex.EncodeToString(name)
		}
	}
	return id
}

func (r *reading) ataHealth(name string) (*inventory.DiskHealth, error) {
	identify, err := r.ask(name, "ata-identify", func() ([]byte, error) { return ataRead(name, ataIdentify, 0) })
	if err != nil {
		return nil, err
	}
	if len(identify) < ataIdentifyBytes || !parseATAIdentify(identify).smart {
		return nil, fmt.Errorf("SMART is off or missing: %w", errors.ErrUnsupported)
	}
	data, err := r.ask(name, "ata-smart", func() ([]byte, error) { return ataRead(name, ataSMART, smartData) })
	if err != nil {
		return nil, err
	}
	limits, err := r.ask(name, "ata-thresholds", func() ([]byte, error) { return ataRead(name, ataSMART, smartThresholds) })
	if err != nil {
		limits = nil // obsolete in newer standards; the status below still tells
	}
	h, err := parseATASMART(data, limits)
	if err != nil {
		return nil, err
	}
	status, err := r.ask(name, "ata-status", func() ([]byte, error) { return ataStatus(name) })
	if err != nil {
		return nil, err
	}
	h.Passed, err = parseATAStatus(status)
	if err != nil {
		return nil, err
	}
	if !h.Passed {
		h.Warnings = append([]string{"the disk predicts its failure"}, h.Warnings...)
	}
	return h, nil
}

// The attributes that are kept; makers agree on these.
const (
	attrReallocated   = 5
	attrPowerOnHours  = 9
	attrTemperature   = 194
	attrPending       = 197
	attrUncorrectable = 198
	attrCRCErrors     = 199
)

// parseATASMART reads SMART data and its thresholds: 30 entries of 12 bytes from byte 2,
// and a last byte that makes all 512 add up to zero.
func parseATASMART(data, limits []byte) (*inventory.DiskHealth, error) {
	if len(data) < 512 || !sumIsZero(data, 512) {
		return nil, fmt.Errorf("SMART data of %d bytes: wrong checksum", len(data))
	}
	lowest := map[byte]byte{}
	if len(limits) >= 512 && sumIsZero(limits, 512) {
		for i := 2; i < 362; i += 12 {
			lowest[limits[i]] = limits[i+1]
		}
	}
	h := &inventory.DiskHealth{}
	for i := 2; i < 362; i += 12 {
		a := data[i : i+12]
		if a[0] == 0 {
			continue
		}
		addAttribute(h, a)
		// Flag bit 0 marks the attributes that predict a failure.
		if limit := lowest[a[0]]; limit > 0 && a[3] <= limit && a[1]&1 != 0 {
			h.Warnings = append(h.Warnings, fmt.Sprintf("attribute %d is at %d, its limit is %d", a[0], a[3], limit))
		}
	}
	return h, nil
}

// addAttribute takes what one attribute tells. The raw value has six bytes; makers put
// minutes, minima and maxima into the upper ones of hours and temperature.
func addAttribute(h *inventory.DiskHealth, a []byte) {
	raw := int64(binary.LittleEndian.Uint32(a[5:])) | int64(binary.LittleEndian.Uint16(a[9:]))<<32
	warn := func(what string) {
		if raw > 0 {
			h.Warnings = append(h.Warnings, fmt.Sprintf("%d %s", raw, what))
		}
	}
	switch a[0] {
	case attrReallocated:
		h.ReallocatedSectors = raw
		warn("reallocated sectors")
	case attrPowerOnHours:
		h.PowerOnHours = int64(binary.LittleEndian.Uint32(a[5:]))
	case attrTemperature:
		h.TemperatureC = int(int8(a[5]))
	case attrPending:
		warn("sectors wait for reallocation")
	case attrUncorrectable:
		h.MediaErrors = raw
		warn("sectors can't be read")
	case attrCRCErrors:
		warn("transfer errors (cable or backplane)")
	}
}

// parseATAStatus reads the sense data of SMART RETURN STATUS: the ATA status return
// descriptor (SAT-5, 12.2.2.7) has LBA mid and high, 4Fh C2h when all is well and F4h
// 2Ch when a threshold is exceeded (ACS-3, 7.48.8).
func parseATAStatus(sense []byte) (bool, error) {
	if len(sense) >= 8 && sense[0]&0x7f == 0x72 {
		for rest := sense[8:]; len(rest) >= 14 && rest[1] <= 12; rest = rest[14:] {
			// An aborted command (ERR or DF in the status) leaves the registers as they were
			// sent, which looks like "well".
			if rest[0] != 0x09 || rest[13]&0x21 != 0 {
				continue
			}
			switch [2]byte{rest[9], rest[11]} {
			case [2]byte{0x4f, 0xc2}:
				return true, nil
			case [2]byte{0xf4, 0x2c}:
				return false, nil
			}
		}
	}
	return false, errors.New("SMART status: no ATA registers in the answer")
}

// ataCommand builds ATA PASS-THROUGH (16) (SAT-5, 12.2.2.3) for a 28-bit command. With n
// bytes it reads by PIO (protocol 4), the count in blocks; without it moves no data
// (protocol 3) and asks for the registers (CK_COND).
func ataCommand(command, feature byte, blocks byte) []byte {
	cdb := make([]byte, 16)
	cdb[0] = 0x85
	cdb[1], cdb[2] = 3<<1, 0x20
	if blocks > 0 {
		cdb[1], cdb[2] = 4<<1, 0x0e // from the device, in blocks, length in the count
	}
	cdb[4], cdb[6], cdb[14] = feature, blocks, command
	if command == ataSMART {
		cdb[10], cdb[12] = 0x4f, 0xc2
	}
	return cdb
}

func ataRead(name string, command, feature byte) ([]byte, error) {
	data, _, err := scsiCommand(name, ataCommand(command, feature, 1), 512)
	return data, err
}

func ataStatus(name string) ([]byte, error) {
	_, sense, err := scsiCommand(name, ataCommand(ataSMART, smartStatus, 0), 0)
	if len(sense) > 0 {
		return sense, nil // CK_COND: the registers come as sense data of an "error"
	}
	return nil, err
}
