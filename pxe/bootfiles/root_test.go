package bootfiles

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// moduleELF is a kernel module as far as this package looks: an ELF object with a
// .modinfo section.
func moduleELF(entries ...string) []byte {
	info := []byte(strings.Join(entries, "\x00") + "\x00")
	names := []byte("\x00.modinfo\x00.shstrtab\x00")
	const headerBytes, sectionBytes = 64, 64
	var b bytes.Buffer
	h := elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1},
		Type:  uint16(elf.ET_REL), Machine: uint16(elf.EM_X86_64), Version: 1,
		Shoff: uint64(headerBytes + len(info) + len(names)), Ehsize: headerBytes,
		Shentsize: sectionBytes, Shnum: 3, Shstrndx: 2,
	}
	sections := []elf.Section64{
		{},
		{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: headerBytes, Size: uint64(len(info))},
		{Name: 10, Type: uint32(elf.SHT_STRTAB), Off: uint64(headerBytes + len(info)), Size: uint64(len(names))},
	}
	binary.Write(&b, binary.LittleEndian, h)
	b.Write(info)
	b.Write(names)
	binary.Write(&b, binary.LittleEndian, sections)
	return b.Bytes()
}

func writeFile(t testing.TB, root, name string, data []byte) {
	t.Helper()
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// smallRoot is a root with a few files of each kind that a Debian root has.
func smallRoot(t testing.TB) string {
	t.Helper()
	root := t.TempDir()
	const modules = "lib/modules/6.1.0-9-amd64/"
	writeFile(t, root, "boot/vmlinuz-6.1.0-9-amd64", []byte("kernel"))
	writeFile(t, root, modules+"modules.builtin", []byte("kernel/drivers/tty/serial/8250/8250.ko\n"))
	writeFile(t, root, modules+"modules.order", nil)
	writeFile(t, root, modules+"kernel/drivers/net/ethernet/intel/igb/igb.ko",
		moduleELF("depends=i2c-algo-bit,dca", "alias=pci:v00008086d00001521sv*sd*bc*sc*i*"))
	writeFile(t, root, modules+"kernel/drivers/dca/dca.ko", moduleELF("depends="))
	writeFile(t, root, modules+"kernel/drivers/i2c/i2c-algo-bit.ko", moduleELF("depends=i2c_base"))
	writeFile(t, root, modules+"kernel/drivers/i2c/i2c_base.ko", moduleELF("depends="))
	writeFile(t, root, modules+"kernel/drivers/net/ethernet/x/bnx2.ko",
		moduleELF("firmware=bnx2/a.fw", "firmware=bnx2/gone.fw", "softdep=pre: dca post: nothing"))
	writeFile(t, root, modules+"kernel/drivers/ata/ahci.ko", moduleELF("depends=libata"))
	writeFile(t, root, modules+"kernel/drivers/ata/libata.ko", moduleELF("depends=dca"))
	writeFile(t, root, "lib/firmware/bnx2/a-1.fw", []byte("firmware"))
	if err := os.Symlink("a-1.fw", filepath.Join(root, "lib/firmware/bnx2/a.fw")); err != nil {
		t.Fatal(err)
	}
	for _, s := range loaders {
		if s.required {
			writeFile(t, root, s.paths[0], []byte(s.name))
		}
	}
	return root
}

// goProgram builds a static program of this source.
func goProgram(t testing.TB, source string) string {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, dir, "main.go", []byte(source))
	out := filepath.Join(dir, "init")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, filepath.Join(dir, "main.go"))
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v: %s", out, err, b)
	}
	return out
}
