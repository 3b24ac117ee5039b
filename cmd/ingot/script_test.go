package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"ingot/cmd/ingot/cli"
	"ingot/images/bucket/buckettest"
)

// TestMain makes the command line, and an agent that speaks the real protocol, commands
// of the scripts.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"ingot":     func() { os.Exit(cli.Main(os.Args[1:])) },
		"fakeagent": func() { os.Exit(fakeAgent(os.Args[1:])) },
	})
}

// TestScripts runs the sessions of testdata/script: what a user types, and sees.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready": ready, "eventually": eventually, "exits": exits, "mkraw": mkraw, "vcenter": vcenterCommand, "libvirtd": libvirtdCommand, "winhost": winhostCommand,
			"nowhere": nowhere, "gateway": gatewayCommand, "server": serverCommand,
		},
		Condition: func(name string) (bool, error) {
			if name != "gateway" {
				return false, fmt.Errorf("condition %q", name)
			}
			return buckettest.There(), nil
		},
	})
}

// setup gives each script a server's ports and directory of its own.
func setup(env *testscript.Env) error {
	env.Values[vcentersKey{}], env.Values[winhostsKey{}], env.Values[serversKey{}], env.Values[gatewayKey{}] = vcenters{}, winhosts{}, servers{}, &gateway{}
	variables, err := serverVariables(filepath.Join(env.WorkDir, "data"))
	if err != nil {
		return err
	}
	ingot, err := exec.LookPath("ingot")
	if err != nil {
		return err
	}
	variables["BIN"] = filepath.Dir(ingot) // has nothing but our own programs
	variables["INGOT_LAB"] = filepath.Join(env.WorkDir, "lab")
	for name, value := range variables {
		env.Setenv(name, value)
	}
	return nil
}

// serverVariables give a server a directory, and ports that nobody has.
func serverVariables(data string) (map[string]string, error) {
	ports, err := freePorts(4)
	if err != nil {
		return nil, err
	}
	admin := fmt.Sprintf("127.0.0.1:%d", ports[0])
	return map[string]string{
		"INGOT_SERVER": "http://" + admin, "INGOT_TOKEN_FILE": filepath.Join(data, "admin.token"),
		"INGOT_DATA": data, "INGOT_DHCP": "off", "INGOT_LOCAL_HOST": "false", "INGOT_ADMIN_LISTEN": admin,
		"INGOT_MACHINE_HTTP_PORT": strconv.Itoa(ports[1]), "INGOT_MACHINE_TLS_PORT": strconv.Itoa(ports[2]),
		"INGOT_MACHINE_OFFER_PORT": strconv.Itoa(ports[3]), "INGOT_MACHINE_NETCONSOLE_PORT": "0",
	}, nil
}

// freePorts finds ports that nobody has; they are held together so that they differ.
func freePorts(n int) (ports []int, err error) {
	for range n {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// patience bounds every wait.
const patience = 30 * time.Second

// until asks again and again.
func until(ok func() bool) bool {
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		if ok() {
			return true
		}
	}
	return false
}

// ready waits for the script's server.
func ready(ts *testscript.TestScript, _ bool, _ []string) {
	url := ts.Getenv("INGOT_SERVER") + "/readyz"
	if !until(func() bool {
		resp, err := http.Get(url)
		if err != nil {
			return false
		}
		return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
	}) {
		ts.Fatalf("the server is not ready at %s", url)
	}
}

// eventually PATTERN COMMAND...: runs the command until its output matches, where ^ and $
// are of a line, as they are for stdout.
func eventually(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: eventually PATTERN COMMAND...")
	}
	want := regexp.MustCompile("(?m)" + args[0])
	if !until(func() bool { return ts.Exec(args[1], args[2:]...) == nil && want.MatchString(ts.ReadFile("stdout")) }) {
		ts.Fatalf("%q never said %s", args[1:], args[0])
	}
}

// exits CODE COMMAND...: runs a command that must end with the code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("%q ends with %d, want %s", args[1:], code, args[0])
	}
}

// nowhere TEXT DIR: fails when a file below the directory has the text in it.
func nowhere(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(filepath.WalkDir(ts.MkAbs(args[1]), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err == nil && bytes.Contains(data, []byte(args[0])) {
			ts.Fatalf("%s has %q in it", path, args[0])
		}
		return err
	}))
}

// mkraw FILE MIB: writes a disk image that is not all zeros.
func mkraw(ts *testscript.TestScript, _ bool, args []string) {
	mib, err := strconv.Atoi(args[1])
	ts.Check(err)
	data := make([]byte, mib<<20)
	for i := 0; i < len(data); i += 4096 {
		copy(data[i:], fmt.Sprintf("block %d", i))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o600))
}
