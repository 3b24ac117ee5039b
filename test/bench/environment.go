package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ingot/hypervisor/qemu"
	"ingot/pxe/bootfiles"
	"ingot/pxe/lab"
)

// environmentContests: what a machine downloads to be inspected, and how long that takes
// from power-on, beside a kernel that does nothing.
func environmentContests(ctx context.Context, b *bench) ([]*contest, error) {
	dir := filepath.Join(b.scratch, "environment")
	set, err := bootfiles.Open(filepath.Join(b.data, "boot", "current"))
	if err != nil {
		return nil, err
	}
	if err := b.bareFiles(ctx, set, dir); err != nil {
		return nil, err
	}
	bytes := b.bytesContest(set, dir)
	if b.quick {
		bytes.note = "--quick leaves the power-on out."
		return []*contest{bytes}, nil
	}
	boot := &contest{title: "Power-on to facts, BIOS machine under emulation or KVM",
		figures: []figure{{"time", "s", false}}, targets: []target{{"time", 1.3, "bare kernel and busybox"}},
		note: "The bare kernel is the same one, fetched over HTTP by the same iPXE; its time ends at /init, Ingot's when the server has the facts."}
	boot.contestants = []contestant{
		{"Ingot", func(ctx context.Context) (values, error) { return b.powerOn(ctx, dir, b.ingotRack) }},
		{"bare kernel and busybox", func(ctx context.Context) (values, error) { return b.powerOn(ctx, dir, b.bareRack) }},
	}
	return []*contest{bytes, boot}, nil
}

func (b *bench) bytesContest(set *bootfiles.Set, dir string) *contest {
	c := &contest{title: "Boot environment, bytes to download", once: true,
		figures: []figure{{"first stage", "MB", false}, {"both stages", "MB", false}, {"with the kernel", "MB", false}},
		targets: []target{{"first stage", 25, alone}, {"both stages", 80, alone}}}
	stages := func(kernel, first, second int64) values {
		return values{"first stage": float64(first) / 1e6, "both stages": float64(first+second) / 1e6, "with the kernel": float64(kernel+first+second) / 1e6}
	}
	c.contestants = []contestant{
		{"Ingot", func(context.Context) (values, error) {
			var sizes [3]int64
			for i, name := range []string{"vmlinuz", "initrd.img", "modules.img"} {
				f, err := set.File(name)
				if err != nil {
					return nil, err
				}
				sizes[i] = f.SizeBytes
			}
			return stages(sizes[0], sizes[1], sizes[2]), nil
		}},
		{"bare kernel and busybox", func(context.Context) (values, error) {
			kernel, initrd, err := sizes(filepath.Join(dir, "vmlinuz"), filepath.Join(dir, "bare.img"))
			return stages(kernel, initrd, 0), err
		}},
		{"Debian installer, netboot", func(context.Context) (values, error) {
			at := filepath.Join(filepath.Dir(b.bin), "installer", "usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64")
			kernel, initrd, err := sizes(filepath.Join(at, "linux"), filepath.Join(at, "initrd.gz"))
			if err != nil {
				return nil, fmt.Errorf("not unpacked (--quick does not fetch it): %w", errors.Unwrap(err))
			}
			return stages(kernel, initrd, 0), nil
		}},
	}
	return c
}

func sizes(kernel, initrd string) (int64, int64, error) {
	k, err := os.Stat(kernel)
	if err != nil {
		return 0, 0, err
	}
	i, err := os.Stat(initrd)
	if err != nil {
		return 0, 0, err
	}
	return k.Size(), i.Size(), nil
}

const bareInit = `#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
echo BARE-UP > /dev/ttyS0
exec /bin/busybox sleep 100000
`

// bareFiles makes the kernel that does nothing, and the script that boots it.
func (b *bench) bareFiles(ctx context.Context, set *bootfiles.Set, dir string) error {
	root := filepath.Join(dir, "root")
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return err
	}
	script := "#!ipxe\nkernel http://10.66.0.1:8081/vmlinuz initrd=bare.img console=tty0 console=ttyS0,115200\ninitrd --name bare.img http://10.66.0.1:8081/bare.img\nboot\n"
	err = errors.Join(os.MkdirAll(filepath.Join(root, "bin"), 0o755), os.WriteFile(filepath.Join(root, "bin", "busybox"), busybox, 0o755),
		os.WriteFile(filepath.Join(root, "init"), []byte(bareInit), 0o755), os.WriteFile(filepath.Join(dir, "bare.ipxe"), []byte(script), 0o644))
	if err != nil {
		return err
	}
	if _, _, err := b.command(ctx, nil, "sh", "-c", "cd "+root+" && find . | cpio --quiet -o -H newc | gzip > ../bare.img"); err != nil {
		return err
	}
	from, _, err := set.Open("vmlinuz")
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.Create(filepath.Join(dir, "vmlinuz"))
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, to.Close())
}

// bootLimit is how long a machine may take; emulation is slow.
const bootLimit = 4 * time.Minute

// powerOn racks one BIOS machine, sets a server up beside it and measures from power-on
// until up says that it is up.
func (b *bench) powerOn(ctx context.Context, files string, setUp func(context.Context, *lab.Lab, string) ([]*server, func(*server) bool, error)) (v values, err error) {
	dir, err := os.MkdirTemp(b.scratch, "rack-")
	if err != nil {
		return nil, err
	}
	l, err := lab.Up(ctx, filepath.Join(dir, "lab"), lab.Spec{Name: fmt.Sprintf("bench%d", os.Getpid()), Attached: true,
		Networks: []lab.Network{{Name: "rack", Address: netip.MustParsePrefix("10.66.0.1/24")}},
		Machines: []lab.Machine{{Name: "m", Firmware: qemu.FirmwareBIOS, Disks: []lab.Disk{{SizeBytes: 4 << 30}}, NICs: []lab.NIC{{Network: "rack"}}}}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.Down(context.WithoutCancel(ctx), false), os.RemoveAll(dir)) }()
	servers, up, err := setUp(ctx, l, files)
	defer func() {
		for _, s := range servers {
			err = errors.Join(err, s.stop())
		}
	}()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if err := l.Power(ctx, "m", lab.On); err != nil {
		return nil, err
	}
	if err := servers[len(servers)-1].wait(up, bootLimit); err != nil {
		return nil, err
	}
	return values{"time": time.Since(start).Seconds()}, nil
}

// inRack are the arguments that run a program in the rack's namespace.
func inRack(l *lab.Lab, args ...string) []string {
	return append([]string{"ip", "netns", "exec", l.Namespace()}, args...)
}

// ingotRack runs ingot serve, and follows its events until facts have come.
func (b *bench) ingotRack(ctx context.Context, l *lab.Lab, _ string) (servers []*server, up func(*server) bool, err error) {
	data := filepath.Join(l.Dir(), "data")
	if _, _, err := b.command(ctx, nil, "cp", "-al", b.data, data); err != nil {
		return nil, nil, err
	}
	ingot := filepath.Join(b.bin, "ingot")
	s, err := b.start(ctx, prints("ingot serve is up"), nil, inRack(l, ingot, "serve", "--data", data, "--interface", "rack", "--dhcp", "authoritative")...)
	if err != nil {
		return nil, nil, err
	}
	token, err := os.ReadFile(filepath.Join(data, "admin.token"))
	if err != nil {
		return []*server{s}, nil, err
	}
	follow, err := b.start(ctx, prints(""), []string{"INGOT_TOKEN=" + strings.TrimSpace(string(token))}, inRack(l, ingot, "events", "-f")...)
	if err != nil {
		return []*server{s}, nil, err
	}
	return []*server{s, follow}, prints("facts 1:"), nil
}

// bareRack runs dnsmasq and an HTTP server, and reads the machine's console.
func (b *bench) bareRack(ctx context.Context, l *lab.Lab, files string) (servers []*server, up func(*server) bool, err error) {
	dns, err := b.start(ctx, prints("DHCP, IP range"), nil, inRack(l, b.peer("dnsmasq"), "--no-daemon", "--conf-file=/dev/null", "--port=0", "--interface=rack", "--bind-interfaces",
		"--user=root", "--dhcp-range=10.66.0.100,10.66.0.199,1h", "--dhcp-leasefile="+filepath.Join(l.Dir(), "leases"), "--dhcp-boot=http://10.66.0.1:8081/bare.ipxe")...)
	if err != nil {
		return nil, nil, err
	}
	web, err := b.start(ctx, prints(""), nil, inRack(l, b.part(), "serve", "10.66.0.1:8081", files)...)
	if err != nil {
		return []*server{dns}, nil, err
	}
	return []*server{dns, web}, func(*server) bool {
		text, err := os.ReadFile(l.ConsoleLog("m"))
		return err == nil && strings.Contains(string(text), "BARE-UP")
	}, nil
}
