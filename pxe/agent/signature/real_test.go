package signature

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const mib = 1 << 20

// TestRealTools scans what the field's own tools write, and holds it against libblkid.
func TestRealTools(t *testing.T) {
	for _, tt := range []struct {
		pkg, tool string
		args      []string
		sizeBytes int64
		want      string
		blkid     string
	}{
		{"e2fsprogs", "mkfs.ext4", []string{"-q", "-F"}, 16 * mib, "ext4", "ext4"},
		{"e2fsprogs", "mkfs.ext3", []string{"-q", "-F"}, 16 * mib, "ext3", "ext3"},
		{"e2fsprogs", "mkfs.ext2", []string{"-q", "-F"}, 16 * mib, "ext2", "ext2"},
		{"e2fsprogs", "mkfs.ext4", []string{"-q", "-F", "-O", "journal_dev"}, 16 * mib, "ext journal", "jbd"},
		{"util-linux", "mkswap", []string{"-q"}, 16 * mib, "swap", "swap"},
		{"dosfstools", "mkfs.vfat", []string{"-F", "12"}, 2 * mib, "vfat", "vfat"},
		{"dosfstools", "mkfs.vfat", []string{"-F", "32"}, 64 * mib, "vfat", "vfat"},
		{"dosfstools", "mkfs.vfat", []string{"-S", "4096"}, 64 * mib, "vfat", "vfat"},
		{"xfsprogs", "mkfs.xfs", []string{"-q"}, 400 * mib, "xfs", "xfs"},
		{"btrfs-progs", "mkfs.btrfs", []string{"-q"}, 128 * mib, "btrfs", "btrfs"},
		{"f2fs-tools", "mkfs.f2fs", []string{"-q"}, 64 * mib, "f2fs", "f2fs"},
		{"jfsutils", "mkfs.jfs", []string{"-q"}, 32 * mib, "jfs", "jfs"},
		{"nilfs-tools", "mkfs.nilfs2", []string{"-q"}, 256 * mib, "nilfs2", "nilfs2"},
		{"ntfs-3g", "mkntfs", []string{"-q", "-F", "-f"}, 16 * mib, "ntfs", "ntfs"},
		{"reiserfsprogs", "mkfs.reiserfs", []string{"-q", "-ff"}, 64 * mib, "reiserfs", "reiserfs"},
		{"exfatprogs", "mkfs.exfat", nil, 16 * mib, "exfat", "exfat"},
		{"gfs2-utils", "mkfs.gfs2", []string{"-O", "-q", "-p", "lock_nolock"}, 128 * mib, "gfs2", "gfs2"},
		{"udftools", "mkudffs", nil, 16 * mib, "udf", "udf"},
		{"bcache-tools", "make-bcache", []string{"-B"}, 16 * mib, "bcache", "bcache"},
	} {
		t.Run(tt.tool+" "+strings.Join(tt.args, " "), func(t *testing.T) {
			path := newImage(t, tt.sizeBytes)
			runTool(t, tt.pkg, tt.tool, append(tt.args, path)...)
			if diff := cmp.Diff([]string{tt.want}, scanFile(t, path, 512)); diff != "" {
				t.Errorf("scan (-want +got):\n%s", diff)
			}
			if got := blkidType(t, path); got != "" && got != tt.blkid {
				t.Errorf("blkid says %q, want %q", got, tt.blkid)
			}
			wiped(t, path)
		})
	}
}

// wiped checks that nothing is found once the file is zeros.
func wiped(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err == nil {
		err = os.Truncate(path, 0)
	}
	if err == nil {
		err = os.Truncate(path, info.Size())
	}
	if err != nil {
		t.Fatal(err)
	}
	if found := scanFile(t, path, 512); found != nil {
		t.Errorf("wiped disk shows %q", found)
	}
}

func TestRealLUKS(t *testing.T) {
	for kind, want := range map[string][]string{"luks1": {"LUKS1"}, "luks2": {"LUKS2", "LUKS2 (second header)"}} {
		t.Run(kind, func(t *testing.T) {
			path := newImage(t, 32*mib)
			key := filepath.Join(t.TempDir(), "key")
			if err := os.WriteFile(key, []byte("test"), 0o600); err != nil {
				t.Fatal(err)
			}
			runTool(t, "cryptsetup-bin", "cryptsetup", "luksFormat", "-q", "--type", kind, "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", path, key)
			if diff := cmp.Diff(want, scanFile(t, path, 512)); diff != "" {
				t.Errorf("scan (-want +got):\n%s", diff)
			}
			if got := blkidType(t, path); got != "" && got != "crypto_LUKS" {
				t.Errorf("blkid says %q", got)
			}
		})
	}
}

func TestRealLVM(t *testing.T) {
	path := newImage(t, 32*mib)
	dev := loop(t, path)
	runTool(t, "lvm2", "pvcreate", "-q", "-ff", "-y", "--devices", dev, dev)
	if diff := cmp.Diff([]string{"LVM physical volume"}, scanFile(t, path, 512)); diff != "" {
		t.Errorf("scan (-want +got):\n%s", diff)
	}
}

// loop attaches the image to a loop device, which needs root.
func loop(t *testing.T, path string) string {
	t.Helper()
	tool, _ := findTool("losetup")
	if os.Geteuid() != 0 || tool == "" {
		t.Skip("needs root and losetup (Debian package mount) for a loop device")
	}
	out, err := exec.CommandContext(t.Context(), tool, "-f", "--show", path).Output()
	if err != nil {
		t.Skipf("no loop device: %v", err)
	}
	dev := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if err := exec.Command(tool, "-d", dev).Run(); err != nil {
			t.Errorf("detach %s: %v", dev, err)
		}
	})
	return dev
}

func TestRealSquashfsAndISO(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Run("squashfs", func(t *testing.T) {
		out := filepath.Join(t.TempDir(), "disk")
		runTool(t, "squashfs-tools", "mksquashfs", dir, out, "-quiet")
		if diff := cmp.Diff([]string{"squashfs"}, scanFile(t, out, 512)); diff != "" {
			t.Errorf("scan (-want +got):\n%s", diff)
		}
	})
	t.Run("iso9660", func(t *testing.T) {
		out := filepath.Join(t.TempDir(), "disk")
		runTool(t, "xorriso", "xorriso", "-as", "mkisofs", "-quiet", "-o", out, dir)
		if diff := cmp.Diff([]string{"iso9660"}, scanFile(t, out, 512)); diff != "" {
			t.Errorf("scan (-want +got):\n%s", diff)
		}
	})
}

// TestRealGPT makes a table with sgdisk, puts file systems into it, and takes its parts
// away one by one.
func TestRealGPT(t *testing.T) {
	path := newImage(t, 96*mib)
	runTool(t, "gdisk", "sgdisk", "-n", "1:2048:+32M", "-t", "1:ef00", "-n", "3:0:+32M", "-n", "14:0:0", path)
	writeAt(t, path, 1*mib, made(t, 32*mib, "dosfstools", "mkfs.vfat"))
	writeAt(t, path, 33*mib, made(t, 32*mib, "e2fsprogs", "mkfs.ext4", "-q", "-F"))
	want := []string{"GPT partition table", "vfat on partition 1", "ext4 on partition 3"}
	if diff := cmp.Diff(want, scanFile(t, path, 512)); diff != "" {
		t.Errorf("scan (-want +got):\n%s", diff)
	}
	writeAt(t, path, 0, make([]byte, 34*512))
	want[0] = "GPT partition table (backup only)"
	if diff := cmp.Diff(want, scanFile(t, path, 512)); diff != "" {
		t.Errorf("without the primary table (-want +got):\n%s", diff)
	}
	writeAt(t, path, 96*mib-512, make([]byte, 512))
	if found := scanFile(t, path, 512); found != nil {
		t.Errorf("without both tables: %q", found)
	}
}

func TestRealMBR(t *testing.T) {
	path := newImage(t, 64*mib)
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("label: dos\nstart=2048, size=16M, type=83\ntype=5\nsize=16M, type=83\nsize=8M, type=82\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sfdisk, libs := findTool("sfdisk")
	if sfdisk == "" {
		t.Skip("sfdisk is not there (Debian package fdisk)")
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", `"$0" -q "$1" < "$2"`, sfdisk, path, script)
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+libs)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v\n%s", err, out)
	}
	writeAt(t, path, 1*mib, made(t, 16*mib, "e2fsprogs", "mkfs.ext3", "-q", "-F"))
	writeAt(t, path, 18*mib, made(t, 16*mib, "e2fsprogs", "mkfs.ext2", "-q", "-F"))
	writeAt(t, path, 35*mib, made(t, 8*mib, "util-linux", "mkswap", "-q"))
	want := []string{"MBR partition table", "ext3 on partition 1", "ext2 on partition 5", "swap on partition 6"}
	if diff := cmp.Diff(want, scanFile(t, path, 512)); diff != "" {
		t.Errorf("scan (-want +got):\n%s", diff)
	}
}

// made returns what a tool makes of a file of zeros.
func made(t *testing.T, sizeBytes int64, pkg, tool string, args ...string) []byte {
	t.Helper()
	path := newImage(t, sizeBytes)
	runTool(t, pkg, tool, append(args, path)...)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func writeAt(t *testing.T, path string, off int64, data []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(data, off); err != nil {
		t.Fatal(err)
	}
}
