package daemon

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"ingot/inventory"
)

// withOwner names, in an error about a taken boot port, who has it.
func withOwner(err error) error {
	if !errors.Is(err, inventory.ErrBusy) {
		return err
	}
	for _, port := range []string{"67", "4011", "69"} {
		if who := portOwner("udp", ":"+port); who != anotherProcess {
			return fmt.Errorf("%w (UDP %s belongs to %s: stop it, or bind it to other interfaces; beside a DHCP server that stays, run ingot on another host)", err, port, who)
		}
	}
	return err
}

// anotherProcess is the answer where the owner can't be told.
const anotherProcess = "another process"

// portOwner names the process that listens on a port: "dnsmasq (process 812)". Reading
// other users' processes needs root; without it the answer is "another process".
func portOwner(protocol, address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return anotherProcess
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return anotherProcess
	}
	for _, inode := range socketInodes("/proc/net/"+protocol, n) {
		if who := holder(inode); who != "" {
			return who
		}
	}
	return anotherProcess
}

// socketInodes reads the sockets with a local port from the kernel's table (columns: sl,
// local_address, rem_address, st, queues, timer, retransmits, uid, timeout, inode).
func socketInodes(table string, port int) []string {
	f, err := os.Open(table)
	if err != nil {
		return nil
	}
	defer f.Close()
	var out []string
	scan := bufio.NewScanner(f)
	for scan.Scan() {
		fields := strings.Fields(scan.Text())
		if len(fields) > 9 && strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", port)) {
			out = append(out, fields[9])
		}
	}
	return out
}

func holder(inode string) string {
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*") // a bad pattern is the only error
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil || target != "socket:["+inode+"]" {
			continue
		}
		pid := strings.Split(link, "/")[2]
		name, _ := os.ReadFile("/proc/" + pid + "/comm") // the number is enough
		return fmt.Sprintf("%s (process %s)", strings.TrimSpace(string(name)), pid)
	}
	return ""
}
