package libvirt

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"testing"
)

// packet is one of libvirt's.
func packet(kind, serial, status uint32, payload string) []byte {
	var b bytes.Buffer
	for _, field := range []uint32{uint32(packetHead + len(payload)), 0x20008086, 1, 209, kind, serial, status} {
		binary.Write(&b, binary.BigEndian, field)
	}
	b.WriteString(payload)
	return b.Bytes()
}

// TestStreamConn: data that overtook their reply come after it, and nothing comes after
// the end. libvirtd does both, seldom.
func TestStreamConn(t *testing.T) {
	open, reply := packet(typeReply, 1, 0, "open"), packet(typeReply, 2, 0, "")
	data, end, late := packet(typeStream, 2, statusContinue, "data"), packet(typeStream, 2, statusContinue, ""), packet(typeStream, 2, 0, "late")
	join := func(p ...[]byte) []byte { return bytes.Join(p, nil) }
	for name, sent := range map[string][]byte{
		"in order":        join(open, reply, data, end),
		"data first":      join(open, data, reply, end),
		"all of it first": join(open, data, end, reply),
		"more at the end": join(open, reply, data, end, late, late),
	} {
		c := &streamConn{in: bufio.NewReader(bytes.NewReader(sent)), replied: map[uint32]bool{}}
		got, err := io.ReadAll(c)
		if err != nil || !bytes.Equal(got, join(open, reply, data, end)) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	for _, bad := range [][]byte{packet(typeStream, 2, 0, "data")[:30], bytes.Repeat([]byte{0xff}, 40), make([]byte, 40)} {
		c := &streamConn{in: bufio.NewReader(bytes.NewReader(bad)), replied: map[uint32]bool{}}
		if _, err := io.ReadAll(c); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
