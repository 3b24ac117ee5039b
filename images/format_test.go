package images

import (
	"bytes"
	"testing"
)

// FuzzHeaders reads hostile headers: nothing may panic or read without bound.
func FuzzHeaders(f *testing.F) {
	f.Add([]byte("QFI\xfb\x00\x00\x00\x03"))
	f.Add(append([]byte("KDMV\x01\x00\x00\x00"), make([]byte, 600)...))
	f.Add([]byte("vhdxfile"))
	f.Add(bytes.Repeat([]byte{0x55, 0xAA}, 300))
	f.Fuzz(func(t *testing.T, file []byte) {
		format, err := detect(file)
		if err != nil {
			return
		}
		err = checkHead(format, bytes.NewReader(file), file[:min(len(file), headBytes)])
		if err == nil && format == FormatVMDK && len(file) < 1024 {
			t.Error("a vmdk without room for a descriptor passed")
		}
	})
}
