package pxe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	lib "github.com/pin/tftp/v3"

	"ingot/inventory"
	"ingot/inventory/sqlstore"
	"ingot/pxe/dhcp"
	"ingot/pxe/netboot"
	"ingot/pxe/tftp"
)

const mac = inventory.MAC("52:54:00:12:34:56")

// setID is the set that scripts name.
const setID = "0123456789abcdef"

// bootSet is a closed set of files whose content is their name.
type bootSet struct{ dir string }

// bootNames are the files that a set of bootfiles has.
var bootNames = []string{"undionly.kpxe", "snponly.efi", "ipxe.efi", "shimx64.efi", "grubx64.efi", "shimaa64.efi", "grubaa64.efi", "vmlinuz", "initrd.img", "modules.img"}

func (s bootSet) Open(set, name string) (*os.File, fs.FileInfo, error) {
	if set != "" && set != setID || !slices.Contains(bootNames, name) {
		return nil, nil, fmt.Errorf("file %q: %w", name, fs.ErrNotExist)
	}
	f, err := os.Open(filepath.Join(s.dir, name))
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	return f, info, err
}

// rig is the composed server on loopback.
type rig struct {
	t      *testing.T
	server *Server
	table  *netboot.Table
	store  inventory.Store
	web    *httptest.Server
	tftp   *lib.Client
}

var loopback = netip.MustParseAddr("127.0.0.1")

func newRig(t *testing.T) *rig {
	t.Helper()
	set := bootSet{t.TempDir()}
	for _, name := range bootNames {
		if err := os.WriteFile(filepath.Join(set.dir, name), []byte("content of "+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	store, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "ingot.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	web := httptest.NewUnstartedServer(nil)
	port := netip.MustParseAddrPort(web.Listener.Addr().String()).Port()
	r := &rig{t: t, store: store, web: web,
		table: netboot.NewTable(netboot.Config{HTTPPort: int(port), TLSPort: 7443, Pin: "abcd", Discover: true, BootSet: func() string { return setID }})}
	recorder := netboot.NewRecorder(r.table, store, time.Now, nil)
	r.server = &Server{cfg: Config{Store: store, Table: r.table, Recorder: recorder, Boot: set, Now: time.Now}, log: slog.New(slog.DiscardHandler)}
	files, h, err := r.server.fileServers()
	if err != nil {
		t.Fatal(err)
	}
	web.Config.Handler = h
	web.Start()
	t.Cleanup(web.Close)
	conn, err := tftp.Listen("", netip.AddrPortFrom(loopback, 0))
	if err != nil {
		t.Fatal(err)
	}
	r.run(func(ctx context.Context) error { return files.Run(ctx, conn) })
	r.run(recorder.Run)
	if r.tftp, err = lib.NewClient(conn.LocalAddr().String()); err != nil {
		t.Fatal(err)
	}
	r.tftp.SetTimeout(5 * time.Second)
	return r
}

// run keeps f going until the test ends.
func (r *rig) run(f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	r.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
	})
}

func (r *rig) byTFTP(name string) (string, error) {
	w, err := r.tftp.Receive(name, "octet")
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	_, err = w.WriteTo(&b)
	return b.String(), err
}

func (r *rig) byHTTP(url string) (string, error) {
	resp, err := r.web.Client().Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	if err == nil && resp.ContentLength != int64(len(text)) {
		err = fmt.Errorf("length %d of %d bytes: old firmware needs it", resp.ContentLength, len(text))
	}
	return string(text), err
}

// isFile checks that what was fetched is a file of the set.
func (r *rig) isFile(how, text string, err error, name string) {
	r.t.Helper()
	if want := "content of " + name; err != nil || text != want {
		r.t.Errorf("%s: %q, %v; want %q", how, text, err, want)
	}
}

// states are machines as a boot request may find them; nil is one that nobody knows.
func states() map[string]*inventory.Machine {
	m := func(change func(*inventory.Machine)) *inventory.Machine {
		m := inventory.NewMachine(mac, time.Now())
		change(m)
		return m
	}
	secure := func(s inventory.SecureBootState, then ...func(*inventory.Machine)) *inventory.Machine {
		return m(func(m *inventory.Machine) {
			m.Status.SecureBoot = s
			for _, f := range then {
				f(m)
			}
		})
	}
	deployed := func(m *inventory.Machine) { m.Status.State = inventory.Deployed }
	return map[string]*inventory.Machine{
		"unknown":              nil,
		"discovered":           m(func(*inventory.Machine) {}),
		"secure boot off":      secure(inventory.SecureBootOff),
		"secure boot on":       secure(inventory.SecureBootOn),
		"deployed":             m(deployed),
		"deployed, secure off": secure(inventory.SecureBootOff, deployed),
		"on hold":              m(func(m *inventory.Machine) { m.Status.Hold = "restored" }),
		"conflict":             m(func(m *inventory.Machine) { m.Status.Conflict = "two" }),
		"first boot": m(func(m *inventory.Machine) {
			m.Status.State, m.Status.Phase = inventory.Deploying, inventory.PhaseFirstBoot
		}),
		"virtual machine": m(func(m *inventory.Machine) { m.Kind = inventory.KindVM }),
		"chain none":      m(func(m *inventory.Machine) { m.Spec.Chain = inventory.ChainNone }),
		"chain iPXE":      m(func(m *inventory.Machine) { m.Spec.Chain = inventory.ChainIPXE }),
		"chain shim":      m(func(m *inventory.Machine) { m.Spec.Chain = inventory.ChainShim }),
	}
}

// TestBootContract follows each file name and URL that a client is offered, to the last
// file of the chain.
func TestBootContract(t *testing.T) {
	arches := []int{netboot.ArchBIOS, netboot.ArchEFIIA32, netboot.ArchEFIBC, netboot.ArchEFIX64, netboot.ArchEFIARM32, netboot.ArchEFIARM64,
		netboot.ArchHTTPIA32, netboot.ArchHTTPX64, netboot.ArchHTTPEBC, netboot.ArchHTTPARM32, netboot.ArchHTTPARM64, 99}
	for name, m := range states() {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			if m != nil {
				r.table.Put(m)
			}
			offers := 0
			for _, arch := range arches {
				isHTTP := arch >= netboot.ArchHTTPIA32 && arch <= netboot.ArchHTTPARM64
				for _, c := range []dhcp.Client{
					{MAC: mac, Arch: dhcp.Arch(arch), ArchKnown: true, IsHTTP: isHTTP, Server: loopback},
					{MAC: mac, Arch: dhcp.Arch(arch), ArchKnown: true, IsHTTP: isHTTP, Server: loopback, Proxy: true},
					{MAC: mac, Arch: dhcp.Arch(arch), ArchKnown: true, IsIPXE: true, Server: loopback},
				} {
					if r.follow(c) {
						offers++
					}
				}
			}
			if none := name == "virtual machine" || name == "chain none"; none != (offers == 0) {
				t.Errorf("%d offers", offers)
			}
		})
	}
}

// follow fetches what c is offered; false when that is nothing, which must have a reason.
func (r *rig) follow(c dhcp.Client) bool {
	r.t.Helper()
	offer := booter{r.table, r.server.cfg.Recorder}.Boot(r.t.Context(), c)
	what := fmt.Sprintf("architecture %d, iPXE %v, proxy %v: %s%s", c.Arch, c.IsIPXE, c.Proxy, offer.File, offer.URL)
	switch {
	case offer.Silence != "":
		if offer.File+offer.URL != "" {
			r.t.Errorf("%s: offered, and silent: %s", what, offer.Silence)
		}
		return false
	case offer.URL != "" && strings.HasSuffix(offer.URL, ".ipxe"):
		r.ipxe(offer.URL)
	case offer.URL != "":
		text, err := r.byHTTP(offer.URL)
		r.isFile(what, text, err, last(offer.URL))
		r.ipxe(r.web.URL + "/boot/" + mac.Hyphened() + "/script.ipxe")
	case offer.File != "":
		r.loader(what, offer.File)
	default:
		r.t.Errorf("%s: neither file nor reason", what)
	}
	return true
}

func last(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// loader fetches a first file by TFTP as firmware asks for it, and what it asks for then.
func (r *rig) loader(what, name string) {
	r.t.Helper()
	for _, spelled := range []string{name, "/" + name, "//" + name} {
		text, err := r.byTFTP(spelled)
		r.isFile(what+" as "+spelled, text, err, last(name))
	}
	folder := strings.TrimSuffix(name, last(name))
	if grub, isShim := map[string]string{"shimx64.efi": "grubx64.efi", "shimaa64.efi": "grubaa64.efi"}[last(name)]; isShim {
		for _, spelled := range []string{folder + grub, "/" + folder + "/" + grub} {
			text, err := r.byTFTP(spelled)
			r.isFile("shim's "+spelled, text, err, grub)
		}
		r.grub()
		return
	}
	r.ipxe(r.web.URL + "/boot/" + mac.Hyphened() + "/script.ipxe")
}

var (
	ipxeURL  = regexp.MustCompile(`(?m)^(?:kernel|initrd).*? (http://\S+/boot/\S+)`)
	grubFile = regexp.MustCompile(`(?m)^(?:linux|initrd) \(tftp,127\.0\.0\.1\)(/[^ \n]+)`)
	stage    = regexp.MustCompile(`ingot\.http=(\S+)`)
)

// ipxe follows a script to the kernel and both stages.
func (r *rig) ipxe(url string) {
	r.t.Helper()
	script, err := r.byHTTP(url)
	if err != nil || !strings.HasPrefix(script, "#!ipxe\n") {
		r.t.Fatalf("%s: %q, %v", url, script, err)
	}
	for _, m := range ipxeURL.FindAllStringSubmatch(script, -1) {
		text, err := r.byHTTP(m[1])
		r.isFile("iPXE's "+m[1], text, err, last(m[1]))
	}
	r.agent(script)
}

// grub follows GRUB from its built-in path to the kernel and both stages.
func (r *rig) grub() {
	r.t.Helper()
	script, err := r.byTFTP("/grub/grub.cfg")
	if err != nil || !strings.Contains(script, "/grub/machine/$net_default_mac/grub.cfg") {
		r.t.Fatalf("grub.cfg: %q, %v", script, err)
	}
	if script, err = r.byTFTP("/grub/machine/" + string(mac) + "/grub.cfg"); err != nil {
		r.t.Fatal(err)
	}
	for _, m := range grubFile.FindAllStringSubmatch(script, -1) {
		text, err := r.byTFTP(m[1])
		r.isFile("GRUB's "+m[1], text, err, last(m[1]))
	}
	r.agent(script)
}

// agent checks what the agent fetches, when the script starts it.
func (r *rig) agent(script string) {
	r.t.Helper()
	m := stage.FindStringSubmatch(script)
	if starts := strings.Contains(script, "/vmlinuz"); starts != (m != nil) {
		r.t.Errorf("kernel %v, arguments %v:\n%s", starts, m, script)
	}
	if m == nil {
		return
	}
	if !strings.Contains(script, " ingot.set="+setID) || !strings.Contains(script, "/"+inventory.SetFolder(setID)+"vmlinuz") {
		r.t.Errorf("the script does not name its set:\n%s", script)
	}
	for _, url := range []string{m[1] + "/boot/" + mac.Hyphened() + "/modules.img", m[1] + "/boot/modules.img", m[1] + "//boot//modules.img",
		m[1] + "/boot/" + mac.Hyphened() + "/" + inventory.SetFolder(setID) + "modules.img"} {
		text, err := r.byHTTP(url)
		r.isFile(url, text, err, "modules.img")
	}
}

// TestUnknownFile: a request for what isn't served is refused, and told.
func TestUnknownFile(t *testing.T) {
	for _, name := range []string{"pxelinux.0", "../../etc/passwd", "EFI/BOOT/BOOTX64.EFI", "set-ffff/vmlinuz", "set-/vmlinuz", "grub/machine/nonsense/grub.cfg"} {
		r := newRig(t)
		m := inventory.NewMachine(mac, time.Now())
		if err := r.store.Update(t.Context(), func(x inventory.Tx) error { return x.PutMachine(t.Context(), m) }); err != nil {
			t.Fatal(err)
		}
		r.table.Put(m)
		if text, err := r.byTFTP(mac.Hyphened() + "/" + name); err == nil {
			t.Errorf("TFTP serves %s: %q", name, text)
		}
		if text, err := r.byHTTP(r.web.URL + "/boot/" + mac.Hyphened() + "/" + name); err == nil {
			t.Errorf("HTTP serves %s: %q", name, text)
		}
		if strings.Contains(name, "..") || strings.Contains(name, "nonsense") {
			continue
		}
		r.told(m, inventory.BootFile{File: name, Outcome: inventory.FileNotFound})
	}
}

// told waits for the event of a file.
func (r *rig) told(m *inventory.Machine, want inventory.BootFile) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 10*time.Second)
	defer cancel()
	found := errors.New("found")
	var seen []string
	err := r.store.Follow(ctx, 0, func(e inventory.Event) error {
		seen = append(seen, e.Text())
		p, err := e.Decode()
		if err != nil {
			return err
		}
		if f, ok := p.(inventory.BootFile); ok && e.Machine == m.ID && f.File == want.File && f.Outcome == want.Outcome {
			return found
		}
		return nil
	})
	if !errors.Is(err, found) {
		r.t.Errorf("no event of %+v; there are %q (%v)", want, seen, err)
	}
}
