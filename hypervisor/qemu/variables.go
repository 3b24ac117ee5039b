package qemu

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf16"
)

// The layout of a UEFI variable store in flash: EDK II, MdeModulePkg,
// Include/Guid/VariableFormat.h, the authenticated form.
const (
	storeHeaderBytes    = 28
	variableHeaderBytes = 60
	variableStart       = 0x55aa
	variableValid       = 0x3f // VAR_ADDED: header and data are written
	variableDeleting    = 0x3e // VAR_ADDED & VAR_IN_DELETED_TRANSITION: still the valid one
	variableDeletedMask = 0xfd
	variableAttributes  = 0x07 // non-volatile, boot service and runtime access
)

var (
	// authenticatedStore is gEfiAuthenticatedVariableGuid.
	authenticatedStore = [16]byte{0x78, 0x2c, 0xf3, 0xaa, 0x7b, 0x94, 0x9a, 0x43, 0xa1, 0x80, 0x2e, 0x14, 0x4e, 0xc3, 0x77, 0x92}
	// globalVariable is EFI_GLOBAL_VARIABLE, the vendor of BootOrder and its like.
	globalVariable = [16]byte{0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c}
)

// variables is the image of a variable store that is edited in place.
type variables struct {
	image      []byte
	first, end int // offsets of the first variable and of the end of the store
}

// parseVariables checks the headers of an OVMF variable image.
func parseVariables(image []byte) (*variables, error) {
	if len(image) < 56 || !bytes.Equal(image[40:44], []byte("_FVH")) {
		return nil, errors.New("no firmware volume header")
	}
	store := int(binary.LittleEndian.Uint16(image[48:]))
	if store+storeHeaderBytes > len(image) || !bytes.Equal(image[store:store+16], authenticatedStore[:]) {
		return nil, errors.New("no authenticated variable store")
	}
	size := int64(binary.LittleEndian.Uint32(image[store+16:]))
	if size < storeHeaderBytes || int64(store)+size > int64(len(image)) {
		return nil, fmt.Errorf("variable store of %d bytes at %d in an image of %d", size, store, len(image))
	}
	return &variables{image: image, first: store + storeHeaderBytes, end: store + int(size)}, nil
}

// variable is the place of one variable in the image.
type variable struct {
	at, name, data, next int // offsets
	dataBytes            int
}

// each calls f for every variable header, deleted ones too, until f returns
// false, and returns the offset of the free space when it came to it.
func (v *variables) each(f func(variable) bool) (free int, err error) {
	for at := v.first; ; {
		if at+variableHeaderBytes > v.end || binary.LittleEndian.Uint16(v.image[at:]) != variableStart {
			return min(at, v.end), nil
		}
		nameBytes := int64(binary.LittleEndian.Uint32(v.image[at+36:]))
		dataBytes := int64(binary.LittleEndian.Uint32(v.image[at+40:]))
		end := int64(at) + variableHeaderBytes + nameBytes + dataBytes
		if end > int64(v.end) {
			return 0, fmt.Errorf("variable at %d reaches beyond the store", at)
		}
		name := at + variableHeaderBytes
		cur := variable{at: at, name: name, data: name + int(nameBytes), dataBytes: int(dataBytes), next: align4(int(end))}
		if !f(cur) {
			return 0, nil
		}
		at = cur.next
	}
}

func align4(n int) int { return (n + 3) &^ 3 }

// find returns the valid global variable of that name.
func (v *variables) find(name string) (found variable, ok bool, err error) {
	want := utf16Bytes(name)
	_, err = v.each(func(cur variable) bool {
		state := v.image[cur.at+2]
		if (state == variableValid || state == variableDeleting) &&
			bytes.Equal(v.image[cur.at+44:cur.at+60], globalVariable[:]) &&
			bytes.Equal(v.image[cur.name:cur.data], want) {
			found, ok = cur, true
		}
		return !ok
	})
	return found, ok, err
}

// set writes a global variable the way the firmware does: the old one is marked
// as deleted, the new one goes to the free space at the end.
func (v *variables) set(name string, data []byte) error {
	old, replaces, err := v.find(name)
	if err != nil {
		return err
	}
	free, err := v.each(func(variable) bool { return true })
	if err != nil {
		return err
	}
	n := utf16Bytes(name)
	if free+variableHeaderBytes+len(n)+len(data) > v.end {
		return fmt.Errorf("no room for variable %s in the firmware's store", name)
	}
	h := make([]byte, variableHeaderBytes)
	binary.LittleEndian.PutUint16(h, variableStart)
	h[2] = variableValid
	binary.LittleEndian.PutUint32(h[4:], variableAttributes)
	binary.LittleEndian.PutUint32(h[36:], uint32(len(n)))
	binary.LittleEndian.PutUint32(h[40:], uint32(len(data)))
	copy(h[44:], globalVariable[:])
	copy(v.image[free:], append(append(h, n...), data...))
	if replaces {
		v.image[old.at+2] &= variableDeletedMask
	}
	return nil
}

// utf16Bytes is s as a terminated little-endian UTF-16 string.
func utf16Bytes(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return append(b, 0, 0)
}
