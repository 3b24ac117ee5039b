package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"ingot/inventory"
	"ingot/pxe/agentapi"
)

// settle is how long a server is left alone before its memory is looked at.
const settle = 5 * time.Second

// memoryMachines is how many machines say hello and send facts.
const memoryMachines = 1000

// memoryContests: resident memory of ingot serve: idle; when 1,000 machines' agents have
// sent facts; and started anew on that inventory.
func memoryContests(_ context.Context, b *bench) ([]*contest, error) {
	c := &contest{title: "Server memory (resident)", once: b.quick,
		figures: []figure{{"idle", "MB", false}, {"1,000 machines", "MB", false}, {"the same, restarted", "MB", false}},
		targets: []target{{"idle", 60, alone}, {"1,000 machines", 120, alone}, {"the same, restarted", 120, alone}}}
	c.contestants = []contestant{{"ingot serve", b.memory}}
	return []*contest{c}, nil
}

func (b *bench) memory(ctx context.Context) (v values, err error) {
	data := filepath.Join(b.scratch, "memory")
	if err := os.RemoveAll(data); err != nil {
		return nil, err
	}
	if _, _, err := b.command(ctx, nil, "cp", "-al", b.data, data); err != nil {
		return nil, err
	}
	v = values{}
	err = b.withServer(ctx, data, func(s *server) error {
		if v["idle"], err = s.resident(ctx); err != nil {
			return err
		}
		if err := fill(ctx, data); err != nil {
			return err
		}
		v["1,000 machines"], err = s.resident(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = b.withServer(ctx, data, func(s *server) error {
		v["the same, restarted"], err = s.resident(ctx)
		return err
	})
	return v, err
}

func (b *bench) withServer(ctx context.Context, data string, f func(*server) error) error {
	s, err := b.start(ctx, prints("ingot serve is up"), nil, filepath.Join(b.bin, "ingot"), "serve", "--data", data, "--interface", port, "--dhcp", "authoritative")
	if err != nil {
		return err
	}
	return errors.Join(f(s), s.stop())
}

// resident is the memory in MB after the server was left alone.
func (s *server) resident(ctx context.Context) (float64, error) {
	quiet := time.NewTimer(settle)
	defer quiet.Stop()
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-quiet.C:
	}
	var kib float64
	if _, err := fmt.Sscan(line(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid), "VmRSS"), &kib); err != nil {
		return 0, fmt.Errorf("read memory of process %d: %w", s.cmd.Process.Pid, err)
	}
	return kib * 1024 / 1e6, nil
}

// fill has the agents of many machines say hello and send facts.
func fill(ctx context.Context, data string) error {
	cert, err := tls.LoadX509KeyPair(filepath.Join(data, "tls.pem"), filepath.Join(data, "tls.pem"))
	if err != nil {
		return err
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return err
	}
	shared := agentapi.NewClient("https://"+address+":7443", agentapi.Pin(leaf))
	shared.HTTP.Transport.(*http.Transport).MaxIdleConnsPerHost = 8
	defer shared.HTTP.CloseIdleConnections()
	agents, ctx := errgroup.WithContext(ctx)
	agents.SetLimit(8)
	for n := range memoryMachines {
		agents.Go(func() error {
			c := &agentapi.Client{Base: shared.Base, HTTP: shared.HTTP}
			f := server1U(n)
			if _, err := c.Hello(ctx, agentapi.Hello{Boot: agentapi.NewBoot(), Identity: f.Identity(), BootMAC: f.NICs[0].MAC, Firmware: inventory.FirmwareUEFI}); err != nil {
				return err
			}
			return c.Facts(ctx, f)
		})
	}
	return agents.Wait()
}

// server1U are the facts of a usual two-socket server.
func server1U(n int) *inventory.Facts {
	f := &inventory.Facts{System: inventory.System{Manufacturer: "Bench", Product: "1U", Serial: fmt.Sprintf("BENCH%06d", n), UUID: fmt.Sprintf("b1c2d3e4-0000-4000-8000-%012x", n+1)},
		Firmware: inventory.Firmware{Vendor: "Bench", Version: "1.2.3", Mode: inventory.FirmwareUEFI, SecureBoot: inventory.SecureBootOff}}
	for i := range 2 {
		f.CPUs = append(f.CPUs, inventory.CPU{Socket: fmt.Sprint("CPU", i), Vendor: "GenuineIntel", Model: "Intel(R) Xeon(R) Gold 6338", Cores: 32, Threads: 64,
			Features: strings.Fields("fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 ss ht syscall nx pdpe1gb rdtscp lm")})
	}
	for i := range 16 {
		f.Memory.DIMMs = append(f.Memory.DIMMs, inventory.DIMM{Slot: fmt.Sprint("DIMM_", i), SizeBytes: 32 << 30, Type: "DDR4", SpeedMTs: 3200, Manufacturer: "Samsung", Serial: fmt.Sprintf("%08X", n*16+i)})
	}
	for i := range 8 {
		f.Disks = append(f.Disks, inventory.Disk{Name: fmt.Sprintf("nvme%dn1", i), Model: "Bench NVMe 3.84TB", Serial: fmt.Sprintf("N%07d%d", n, i), SizeBytes: 3840755982336,
			LogicalSectorBytes: 512, PhysicalSectorBytes: 4096, Transport: "nvme"})
	}
	for i := range 4 {
		f.NICs = append(f.NICs, inventory.NIC{Name: fmt.Sprint("eth", i), MAC: inventory.MAC(fmt.Sprintf("02:b0:%02x:%02x:%02x:%02x", n>>16, n>>8&255, n&255, i)), Driver: "ice", SpeedMbps: 25000, Link: true})
	}
	for i := range 60 {
		f.PCI = append(f.PCI, inventory.PCIDevice{Address: fmt.Sprintf("0000:%02x:00.0", i), Class: "020000", Vendor: "8086", Device: "1592", Driver: "ice"})
	}
	return f
}
