package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/inventory"
	"ingot/inventory/api"
)

// factory is an ingot serve without a rack, on loopback, which builds images.
type factory struct {
	t      *testing.T
	dir    string
	env    []string
	server *exec.Cmd
	client *api.Client
}

func newFactory(t *testing.T, config string) *factory {
	t.Helper()
	f := &factory{t: t, dir: t.TempDir()}
	var ports [4]int
	for i := range ports {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	admin := fmt.Sprintf("127.0.0.1:%d", ports[0])
	f.env = append(os.Environ(), "INGOT_DATA="+f.path("data"), "INGOT_DHCP=off", "INGOT_LOCAL_HOST=false", "INGOT_ADMIN_LISTEN="+admin,
		fmt.Sprintf("INGOT_MACHINE_HTTP_PORT=%d", ports[1]), fmt.Sprintf("INGOT_MACHINE_TLS_PORT=%d", ports[2]), fmt.Sprintf("INGOT_MACHINE_OFFER_PORT=%d", ports[3]),
		"INGOT_MACHINE_NETCONSOLE_PORT=0", "INGOT_SERVER=http://"+admin, "INGOT_TOKEN_FILE="+f.path("data/admin.token"))
	if err := os.WriteFile(f.path("ingot.yaml"), []byte(strings.ReplaceAll(config, "DIR", f.dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	f.client = &api.Client{Base: "http://" + admin, HTTP: http.DefaultClient}
	t.Cleanup(f.kill)
	return f
}

func (f *factory) path(name string) string { return filepath.Join(f.dir, name) }

// ingot runs the command line and returns what it printed.
func (f *factory) ingot(args ...string) string {
	f.t.Helper()
	cmd := exec.CommandContext(f.t.Context(), built.ingot, args...)
	cmd.Env, cmd.Dir = f.env, f.dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		f.t.Fatalf("ingot %v: %v\n%s%s", args, err, out.String(), errs.String())
	}
	return out.String()
}

func (f *factory) start() {
	f.t.Helper()
	f.server = exec.Command(built.ingot, "serve", "--config", f.path("ingot.yaml"))
	log, err := os.OpenFile(f.path("serve.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		f.t.Fatal(err)
	}
	defer log.Close()
	f.server.Env, f.server.Stdout, f.server.Stderr = f.env, log, log
	if err := f.server.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.until("server ready", time.Minute, func(ctx context.Context) error {
		token, err := os.ReadFile(f.path("data/admin.token"))
		if err != nil {
			return err
		}
		f.client.Token = strings.TrimSpace(string(token))
		_, err = f.client.Version(ctx)
		return err
	})
}

// kill is kill -9, as a power cut is.
func (f *factory) kill() {
	if f.server == nil {
		return
	}
	_ = f.server.Process.Kill() // it may be gone
	_ = f.server.Wait()
	f.server = nil
}

func (f *factory) until(what string, limit time.Duration, ok func(context.Context) error) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			log, _ := os.ReadFile(f.path("serve.log"))
			f.t.Fatalf("%s: %v; server:\n%s", what, err, log[max(0, len(log)-4000):])
		case <-tick.C:
		}
	}
}

func (f *factory) schedule(ctx context.Context) (api.ScheduleRow, error) {
	rows, err := f.client.Schedules(ctx)
	if err != nil || len(rows) != 1 {
		return api.ScheduleRow{}, fmt.Errorf("%d schedules, %w", len(rows), err)
	}
	return rows[0], nil
}

// TestNightly: a night of a real recipe, whose server is killed in the middle: built,
// booted by each firmware, signed, promoted by rule; a second night finds nothing new. Then
// each format out and in again is the same disk.
func TestNightly(t *testing.T) {
	need(t)
	t.Parallel()
	guest(t)
	f := newFactory(t, `
images: {signing_key: DIR/key, trusted_keys: [DIR/key.pub], grace: 0s}
nightly:
  - {name: tiny, recipe: tiny, times: "0 2 * * *", promote: [{from: nightly, to: stable, passes: 1}]}
`)
	f.ingot("image", "key", "create", "key", "--no-password")
	f.start()
	f.ingot("image", "schedule", "run", "tiny")
	f.until("the build is under way", 5*time.Minute, func(ctx context.Context) error {
		row, err := f.schedule(ctx)
		if err == nil && (row.Running.IsZero() || row.Step == "recipe" || row.Step == "") {
			err = fmt.Errorf("step %q", row.Step)
		}
		return err
	})
	f.kill()
	f.start()
	f.night(false)
	if row, err := f.schedule(t.Context()); err != nil || !strings.HasPrefix(row.Last.Anew, "killed at ") {
		t.Errorf("after the server was killed: %+v, %v", row.Last, err)
	}
	f.checkTiny()
	f.ingot("image", "schedule", "run", "tiny")
	f.night(true)
	f.formats()
}

// night waits for the end of a run that began after the last one.
func (f *factory) night(unchanged bool) {
	f.t.Helper()
	f.until("the night is over", 12*time.Minute, func(ctx context.Context) error {
		row, err := f.schedule(ctx)
		switch {
		case err != nil:
			return err
		case row.Last != nil && row.Last.Problem != "":
			f.t.Fatalf("%+v\n%s", row.Last, f.ingot("image", "schedule", "log", "tiny"))
		case row.Last == nil || !row.Running.IsZero() || row.Last.Unchanged != unchanged:
			return fmt.Errorf("step %q, last %+v", row.Step, row.Last)
		}
		return nil
	})
}

func (f *factory) checkTiny() {
	f.t.Helper()
	for _, channel := range []string{"nightly", "stable"} {
		var image inventory.Image
		if err := json.Unmarshal([]byte(f.ingot("image", "show", "tiny:"+channel, "-o", "json")), &image); err != nil {
			f.t.Fatal(err)
		}
		if err := image.Proven(); err != nil || len(image.Signers) != 1 || len(image.BootModes) != 3 || image.InputsDigest == "" {
			f.t.Errorf("%s: %v, %+v", channel, err, image)
		}
	}
	if out := f.ingot("image", "verify", "tiny"); !strings.HasPrefix(out, "signed by ") {
		f.t.Errorf("verify: %s", out)
	}
	if out := f.ingot("events"); !strings.Contains(out, "channel tiny:stable is") || strings.Count(out, "nightly build tiny made") != 1 {
		f.t.Errorf("events:\n%s", out)
	}
	for _, name := range []string{"build", "images/tmp"} {
		left, err := os.ReadDir(f.path("data/" + name))
		if err != nil || len(left) > 0 {
			f.t.Errorf("left in %s: %v, %v", name, left, err)
		}
	}
}

// formats exports the image in each format and imports it again as another one.
func (f *factory) formats() {
	f.t.Helper()
	content := func(ref string) string {
		var image inventory.Image
		if err := json.Unmarshal([]byte(f.ingot("image", "show", ref, "-o", "json")), &image); err != nil {
			f.t.Fatal(err)
		}
		return image.ContentDigest
	}
	want := content("tiny")
	for i, format := range []string{"raw", "raw.zst", "qcow2", "vmdk", "ova", "vhdx"} {
		name := fmt.Sprintf("again-%d", i)
		f.ingot("image", "export", "tiny", "disk."+format, "--format", format)
		f.ingot("image", "import", "disk."+format, "--name", name, "--boots", "bios,uefi,secureboot", "--channel", "-", "--data", f.path("data2"))
		var rows []inventory.Image
		if err := json.Unmarshal([]byte(f.list("data2")), &rows); err != nil {
			f.t.Fatal(err)
		}
		for _, row := range rows {
			if row.Name == name && row.ContentDigest != want {
				f.t.Errorf("%s is another disk: %s, want %s", format, row.ContentDigest, want)
			}
		}
		if len(rows) == 0 {
			f.t.Errorf("%s: nothing was imported", format)
		}
		if err := os.RemoveAll(f.path("data2")); err != nil {
			f.t.Fatal(err)
		}
	}
}

// list reads the documents of a store.
func (f *factory) list(data string) string {
	f.t.Helper()
	paths, err := filepath.Glob(f.path(data + "/images/blobs/sha256/*/image.json"))
	if err != nil {
		f.t.Fatal(err)
	}
	var all []string
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			f.t.Fatal(err)
		}
		all = append(all, string(text))
	}
	return "[" + strings.Join(all, ",") + "]"
}
