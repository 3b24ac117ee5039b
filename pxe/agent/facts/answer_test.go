package facts

import (
	"encoding/binary"
	"slices"
)

// nvmeLog builds a health log (NVM Express Base Specification 2.0, figure 207).
func nvmeLog(critical byte, celsius int, percentUsed byte, hours, mediaErrors uint64) []byte {
	b := make([]byte, nvmeLogBytes)
	b[0], b[5] = critical, percentUsed
	binary.LittleEndian.PutUint16(b[1:], uint16(celsius+273))
	binary.LittleEndian.PutUint64(b[128:], hours)
	binary.LittleEndian.PutUint64(b[160:], mediaErrors)
	return b
}

// ataIdentity builds IDENTIFY DEVICE data with SMART switched on (ACS-3, 7.12.7).
func ataIdentity(model, serial, firmware string, wwn uint64) []byte {
	b := make([]byte, ataIdentifyBytes)
	text := func(first, words int, s string) {
		for i := range words * 2 {
			c := byte(' ')
			if i < len(s) {
				c = s[i]
			}
			b[2*first+i^1] = c // the two characters of a word are swapped
		}
	}
	text(10, 10, serial)
	text(23, 4, firmware)
	text(27, 20, model)
	word := func(n int, v uint16) { binary.LittleEndian.PutUint16(b[2*n:], v) }
	word(82, 1)
	word(83, 1<<14)
	word(85, 1)
	word(87, 1<<14|1<<8)
	for i := range 4 {
		word(108+i, uint16(wwn>>(48-16*i)))
	}
	return b
}

// ataPage wraps it as vital product data page 89h (SAT-5, 12.4.2).
func ataPage(identity []byte) string {
	head := make([]byte, 60)
	head[1] = 0x89
	binary.BigEndian.PutUint16(head[2:], 568)
	return string(append(head, identity...))
}

// attribute is one SMART attribute with the value that it must not reach.
type attribute struct {
	id, value, limit byte
	raw              uint32
}

// ataSMARTData builds SMART data and thresholds.
func ataSMARTData(attrs ...attribute) (data, limits []byte) {
	data, limits = make([]byte, 512), make([]byte, 512)
	for i, a := range attrs {
		d, l := data[2+12*i:], limits[2+12*i:]
		d[0], d[1], d[3], d[4] = a.id, 1, a.value, a.value
		binary.LittleEndian.PutUint32(d[5:], a.raw)
		l[0], l[1] = a.id, a.limit
	}
	data[511], limits[511] = checksum(data), checksum(limits)
	return data, limits
}

// ataSense is the sense data of SMART RETURN STATUS.
func ataSense(passed bool) []byte {
	b := make([]byte, 22)
	b[0], b[1], b[2], b[3], b[7] = 0x72, 0x01, 0x00, 0x1d, 14
	b[8], b[9], b[17], b[19], b[21] = 0x09, 0x0c, 0x4f, 0xc2, 0x50
	if !passed {
		b[17], b[19] = 0xf4, 0x2c
	}
	return b
}

// ata gives a disk its answers.
func (d *dump) ata(name string, identity []byte, passed bool, attrs ...attribute) {
	d.t.Helper()
	data, limits := ataSMARTData(attrs...)
	d.answer(name, "ata-identify", identity)
	d.answer(name, "ata-smart", data)
	d.answer(name, "ata-thresholds", limits)
	d.answer(name, "ata-status", ataSense(passed))
}

// logParameter is one parameter of a SCSI log page.
func logParameter(code uint16, value ...byte) []byte {
	return append([]byte{byte(code >> 8), byte(code), 0x03, byte(len(value))}, value...)
}

// scsiLog gives a disk a log page.
func (d *dump) scsiLog(name, page string, code byte, parameters ...[]byte) {
	d.t.Helper()
	b := []byte{code, 0, 0, 0}
	for _, p := range parameters {
		b = append(b, p...)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-4))
	d.answer(name, "scsi-log-"+page, b)
}

// vpdSerial builds page 80h.
func vpdSerial(s string) string { return "\x00\x80\x00" + string(rune(len(s))) + s }

// vpdNAA builds page 83h with a vendor's text before the NAA name.
func vpdNAA(naa uint64) string {
	b := []byte{0, 0x83, 0, 0, 0x02, 0x01, 0, 4, 'A', 'C', 'M', 'E', 0x01, 0x03, 0, 8}
	b = binary.BigEndian.AppendUint64(b, naa)
	b[3] = byte(len(b) - 4)
	return string(b)
}

// driverInfo builds struct ethtool_drvinfo.
func driverInfo(driver, firmware string) []byte {
	b := make([]byte, driverInfoBytes)
	copy(b[4:], driver)
	copy(b[68:], firmware)
	return b
}

// permanent builds struct ethtool_perm_addr.
func permanent(mac [6]byte) []byte {
	b := make([]byte, permanentBytes)
	binary.NativeEndian.PutUint32(b[4:], 6)
	copy(b[8:], mac[:])
	return b
}

// lldpFrame builds a frame to the nearest bridge from its TLVs, with the end.
func lldpFrame(tlvs ...[]byte) []byte {
	b := []byte{0x01, 0x80, 0xc2, 0, 0, 0x0e, 0x02, 0, 0, 0, 0, 1, 0x88, 0xcc}
	for _, t := range tlvs {
		b = append(b, t...)
	}
	return append(b, 0, 0)
}

func tlv(kind byte, value string) []byte {
	return append([]byte{kind<<1 | byte(len(value)>>8), byte(len(value))}, value...)
}

// switchFrame is what a data-centre switch sends.
func switchFrame(system, port, description string, vlan uint16, ttl string) []byte {
	return lldpFrame(tlv(1, "\x04\x00\x1c\x73\x0a\x0b\x0c"), tlv(2, "\x05"+port), tlv(3, ttl), tlv(4, description), tlv(5, system),
		tlv(6, "network operating system 4.30"), tlv(7, "\x00\x14\x00\x14"), tlv(8, "\x05\x01\xc0\x00\x02\x01\x02\x00\x00\x00\x01\x00"),
		tlv(127, "\x00\x80\xc2\x01"+string([]byte{byte(vlan >> 8), byte(vlan)})), tlv(127, "\x00\x12\x0f\x04\x24\x14"))
}

// flags gives an interface private flags with the named ones on.
func (d *dump) flags(name string, all []string, on ...string) {
	d.t.Helper()
	names, bits := make([]byte, flagNamesBytes), make([]byte, 8)
	binary.NativeEndian.PutUint32(names[8:], uint32(len(all)))
	for i, f := range all {
		copy(names[12+i*flagNameBytes:], f)
		if slices.Contains(on, f) {
			binary.NativeEndian.PutUint32(bits[4:], binary.NativeEndian.Uint32(bits[4:])|1<<i)
		}
	}
	d.answer(name, "ethtool-flag-names", names)
	d.answer(name, "ethtool-flags", bits)
}
