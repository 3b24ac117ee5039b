package master_test

import (
	"bytes"
	"testing"

	"ingot/images/master"
)

func TestCheckDataFindsDamage(t *testing.T) {
	m, data := pack(t, testDisk(t))
	other, otherData := pack(t, testDisk(t)[:8<<20])
	for name, test := range map[string]struct {
		m    *master.Manifest
		data []byte
	}{
		"cut short":          {m, data[:len(data)-1]},
		"empty":              {m, nil},
		"another image":      {m, otherData},
		"another's manifest": {other, data},
	} {
		err := test.m.CheckData(bytes.NewReader(test.data), int64(len(test.data)))
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		t.Log(name, err)
	}
}

func FuzzReadSeekTable(f *testing.F) {
	_, data := pack(f, testDisk(f)[:3<<20])
	f.Add(data[len(data)-64:])
	f.Add(data[len(data)-9:])
	f.Add([]byte{0x5e, 0x2a, 0x4d, 0x18, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0xb1, 0xea, 0x92, 0x8f})
	f.Fuzz(func(t *testing.T, file []byte) {
		frames, err := master.ReadSeekTable(bytes.NewReader(file), int64(len(file)))
		if err == nil && len(frames)*8 > len(file) {
			t.Fatalf("%d frames from %d bytes", len(frames), len(file))
		}
	})
}
