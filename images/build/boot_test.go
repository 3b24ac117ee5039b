package build_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/hypervisor/qemu"
	"ingot/images"
	"ingot/images/build"
	"ingot/images/master"
	"ingot/inventory"
	"ingot/inventory/seed"
)

const sshKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBootTestBootTestBootTestBootTestBootTestBoot test@example"

// TestBoot builds the images that INGOT_BOOT_TEST names ("tiny", "debian-12", or
// both with a comma), writes each to a larger disk as a deployment does, and starts
// it on BIOS and with Secure Boot until it phones home. INGOT_BOOT_STORE keeps the
// image store for the next run.
func TestBoot(t *testing.T) {
	names := os.Getenv("INGOT_BOOT_TEST")
	if names == "" || testing.Short() {
		t.Skip("boots take minutes: set INGOT_BOOT_TEST=tiny,debian-12 and leave -short out")
	}
	if err := build.CheckTools(); err != nil {
		t.Skip(err)
	}
	if os.Geteuid() != 0 {
		t.Skip("an image build needs root")
	}
	dir := os.Getenv("INGOT_BOOT_STORE")
	if dir == "" {
		dir = t.TempDir()
	}
	store, err := images.NewStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.SplitSeq(names, ",") {
		image := buildImage(t, store, name)
		for _, firmware := range []qemu.Firmware{qemu.FirmwareBIOS, qemu.FirmwareUEFI, qemu.FirmwareSecureBoot} {
			if firmware == qemu.FirmwareUEFI && name == "debian-12" {
				continue // Secure Boot is the same path, and stricter
			}
			t.Run(name+"/"+string(firmware), func(t *testing.T) { testBoot(t, store, image, firmware) })
		}
	}
}

func buildImage(t *testing.T, store *images.Store, name string) inventory.Image {
	t.Helper()
	r, err := build.EmbeddedRecipe(name)
	if err != nil {
		t.Fatal(err)
	}
	o := build.ImageOptions{Options: build.Options{Dir: t.TempDir(), Log: t.Output(), Progress: func(s build.Step) { t.Logf("%s %d/%d %s %s", name, s.Index, s.Count, s.Name, s.Detail) }}, Channels: []string{"stable"}}
	image, err := build.Image(t.Context(), store, r, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d MB stored for a disk of %d MB", image.Digest, image.StoredBytes/1e6, image.SizeBytes/1e6)
	return image
}

// phoneHome is what an installed system posts.
type phoneHome struct{ form url.Values }

func testBoot(t *testing.T, store *images.Store, image inventory.Image, firmware qemu.Firmware) {
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	home, port := listenHome(t)
	disk := filepath.Join(t.TempDir(), "disk.raw")
	deploy(t, store, image, disk, documents(image, port))
	p, err := qemu.Start(ctx, machine(t, firmware, disk))
	if err != nil {
		t.Skipf("no virtual machine: %v", err)
	}
	t.Cleanup(func() {
		if err := errors.Join(p.Kill(), p.Wait(context.Background())); err != nil {
			t.Logf("end machine: %v", err)
		}
	})
	select {
	case got := <-home:
		if got.form.Get("hostname") != "boot-test" || got.form.Get("instance_id") != "i-1" {
			t.Errorf("phoned home as %v", got.form)
		}
		checkDebian(t, image, got.form)
	case <-ctx.Done():
		console, err := os.ReadFile(qemu.ConsoleLog(filepath.Dir(disk)))
		t.Fatalf("no phone-home; console (%v):\n%s", err, console[max(0, len(console)-4000):])
	}
}

// checkDebian reads what the guest's own script reported.
func checkDebian(t *testing.T, image inventory.Image, form url.Values) {
	t.Helper()
	if image.GrowPartition == "" {
		return
	}
	report := form.Get("report")
	t.Log(report)
	for _, want := range []string{"root-gib=4", "key=yes", "failed=0", "resolv=yes", "hostkeys=yes"} {
		if !strings.Contains(report, want) {
			t.Errorf("the guest's report lacks %q: %s", want, report)
		}
	}
}

func documents(image inventory.Image, port int) seed.Documents {
	home := fmt.Sprintf("http://10.0.2.2:%d/phone-home", port)
	d := seed.Documents{
		MetaData:      []byte("instance-id: i-1\nlocal-hostname: boot-test\npublic-keys:\n  - " + sshKey + "\n"),
		UserData:      []byte("#cloud-config\n{}\n"),
		VendorData:    []byte("#cloud-config\nphone_home:\n  url: " + home + "\n  post: [instance_id, hostname]\n"),
		NetworkConfig: []byte("version: 2\nethernets:\n  nic0:\n    match: {macaddress: \"" + guestMAC.String() + "\"}\n    dhcp4: true\n"),
	}
	if image.GrowPartition != "" {
		d.UserData = []byte(`#cloud-config
runcmd:
  - |
    root=$(( ($(df -B1 --output=size / | tail -1) + 536870912) / 1073741824 ))
    grep -q BootTest /home/debian/.ssh/authorized_keys && key=yes
    getent hosts localhost >/dev/null && test -s /etc/resolv.conf && resolv=yes
    test -s /etc/ssh/ssh_host_ed25519_key && hostkeys=yes
    failed=$(systemctl --failed --no-legend | wc -l)
    curl -s --retry 5 --data-urlencode instance_id=i-1 --data-urlencode "hostname=$(hostname)" --data-urlencode "report=root-gib=$root key=$key failed=$failed resolv=$resolv hostkeys=$hostkeys machine-id=$(cat /etc/machine-id)" ` + home + `
`)
		d.VendorData = []byte("#cloud-config\n{}\n")
	}
	return d
}

var guestMAC = net.HardwareAddr{0x52, 0x54, 0, 0x12, 0x34, 0x56}

func machine(t *testing.T, firmware qemu.Firmware, disk string) qemu.Config {
	return qemu.Config{
		Name: t.Name(), Dir: filepath.Dir(disk), Firmware: firmware, Boot: qemu.BootDisk, MemoryMiB: 1024, Accelerator: qemu.AcceleratorTCG,
		Disks: []qemu.Disk{{Path: disk, Format: "raw", Bus: qemu.BusVirtio, IgnoreFlush: true}},
		NICs:  []qemu.NIC{{MAC: guestMAC, Model: qemu.NICVirtio, BootIndex: -1}},
	}
}

// deploy does what the agent does: write, verify, fit the table, add the seed.
func deploy(t *testing.T, store *images.Store, image inventory.Image, path string, documents seed.Documents) {
	t.Helper()
	m, err := store.Open(image.Digest)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	const diskBytes = 4<<30 + 64<<20
	disk, err := master.CreateFile(path, diskBytes)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	if _, err := master.Apply(t.Context(), m.Manifest, m.Source(), disk, master.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := master.Verify(t.Context(), m.Manifest, disk, nil); err != nil {
		t.Fatal(err)
	}
	packed, err := seed.Pack(documents, 512)
	if err != nil {
		t.Fatal(err)
	}
	table, err := master.ReadTable(disk, diskBytes, 512)
	if err != nil {
		t.Fatal(err)
	}
	if image.GrowPartition != "" {
		if err := table.Grow(image.GrowPartition, int64(len(packed))); err != nil {
			t.Fatal(err)
		}
	}
	partition, err := table.AddLast(master.TypeBasicData, master.NewGUID(master.DigestOf([]byte("seed"))), "CIDATA", int64(len(packed)))
	if err != nil {
		t.Fatal(err)
	}
	offset, _ := table.Offset(partition)
	if _, err := disk.WriteAt(packed, offset); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(table.Write(disk), disk.Sync()); err != nil {
		t.Fatal(err)
	}
}

// listenHome receives one phone-home on loopback, which a guest sees as 10.0.2.2.
func listenHome(t *testing.T) (<-chan phoneHome, int) {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	home := make(chan phoneHome, 1)
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		select {
		case home <- phoneHome{r.PostForm}:
		default:
		}
	})}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Close(), <-done); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return home, listener.Addr().(*net.TCPAddr).Port
}

// TestSeedRoom checks that the packed seed fits the room an image leaves free.
func TestSeedRoom(t *testing.T) {
	packed, err := seed.Pack(seed.Documents{MetaData: []byte("{}"), UserData: bytes.Repeat([]byte("#"), 100)}, 512)
	if err != nil {
		t.Fatal(err)
	}
	if len(packed) > 6<<20 {
		t.Errorf("a seed takes %d bytes, an image leaves 6 MiB free for certain", len(packed))
	}
}
