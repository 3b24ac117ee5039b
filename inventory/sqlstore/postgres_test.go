package sqlstore

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ingot/inventory"
	"ingot/inventory/storetest"
)

// TestPostgres runs the contract against a server of its own, on a socket in a
// temporary directory, started from Debian's package.
func TestPostgres(t *testing.T) {
	dir := startPostgres(t)
	var n atomic.Int64
	storetest.Run(t, func(t testing.TB) inventory.Store {
		name := fmt.Sprintf("db%d", n.Add(1))
		admin, err := sqlOpen(dir, "postgres")
		if err != nil {
			t.Fatal(err)
		}
		defer admin.Close()
		if _, err := admin.ExecContext(t.Context(), "CREATE DATABASE "+name); err != nil {
			t.Fatal(err)
		}
		s, err := OpenPostgres(t.Context(), dsn(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	})
}

func postgresBin(t *testing.T) string {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		t.Skip("PostgreSQL is not installed: apt install postgresql-15")
	}
	return filepath.Dir(found[len(found)-1])
}

func startPostgres(t *testing.T) string {
	bin := postgresBin(t)
	dir, err := os.MkdirTemp("", "ingot-pg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	cred := unprivileged(t, dir)
	run(t, cred, filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "data"), "-U", "postgres", "-A", "trust", "--no-sync", "--locale=C.UTF-8")
	cmd := exec.Command(filepath.Join(bin, "postgres"), "-D", filepath.Join(dir, "data"), "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred, Pdeathsig: syscall.SIGTERM}
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		_ = cmd.Wait()
	})
	waitPostgres(t, dir, &log)
	return dir
}

func waitPostgres(t *testing.T, dir string, log *bytes.Buffer) {
	db, err := sqlOpen(dir, "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(30 * time.Second)
	for db.PingContext(t.Context()) != nil {
		if time.Now().After(deadline) {
			t.Fatalf("PostgreSQL did not start:\n%s", log)
		}
		<-tick.C
	}
}

// unprivileged gives dir to a user that PostgreSQL accepts: it refuses root.
func unprivileged(t *testing.T, dir string) *syscall.Credential {
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func run(t *testing.T, cred *syscall.Credential, name string, args ...string) {
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	cmd.Dir = "/"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}
