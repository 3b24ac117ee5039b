package build

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPlaceCore(t *testing.T) {
	boot, core := make([]byte, 512), make([]byte, 512*10+7)
	if err := placeCore(boot, core, 2048, 1<<20); err != nil {
		t.Fatal(err)
	}
	if got := binary.LittleEndian.Uint64(boot[0x5C:]); got != 2048 {
		t.Errorf("boot sector loads sector %d, want 2048", got)
	}
	got := []uint64{binary.LittleEndian.Uint64(core[0x1F4:]), uint64(binary.LittleEndian.Uint16(core[0x1FC:])), uint64(binary.LittleEndian.Uint16(core[0x1FE:]))}
	if diff := cmp.Diff([]uint64{2049, 10, 0x820}, got); diff != "" {
		t.Errorf("block list (-want +got):\n%s", diff)
	}
	if err := placeCore(boot, core, 2048, 4096); err == nil {
		t.Error("a core image larger than its partition passed")
	}
}

func TestModuleClosure(t *testing.T) {
	table := "kernel/fs/fat/vfat.ko: kernel/fs/fat/fat.ko\nkernel/fs/fat/fat.ko:\nkernel/nls/nls_iso8859-1.ko:\nkernel/x.ko: kernel/fs/fat/fat.ko\n"
	want := []string{"kernel/fs/fat/fat.ko", "kernel/fs/fat/vfat.ko", "kernel/nls/nls_iso8859-1.ko"}
	if diff := cmp.Diff(want, moduleClosure(table, []string{"vfat", "nls_iso8859-1", "built_in"})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
