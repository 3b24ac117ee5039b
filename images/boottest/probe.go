package boottest

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"ingot/images/guestrun"
	"ingot/inventory"
)

// cannot is the exit status of a probe's script where the thing can't be looked at; it
// prints why. 77 is what automake's test drivers take for a skip.
const cannot = 77

// probe is one assertion that a script in the guest decides.
type probe struct {
	name    string
	command guestrun.Command
	// judge turns what the script said into pass or fail and the detail.
	judge func(r guestrun.Result) (bool, string)
}

// settled waits until the boot is complete: cloud-init's last stage, systemd's jobs.
const settled = `
command -v cloud-init >/dev/null && cloud-init status --wait >/dev/null 2>&1
[ -d /run/systemd/system ] && systemctl is-system-running --wait >/dev/null 2>&1
exit 0
`

const rootScript = `
command -v findmnt >/dev/null || { echo "no findmnt"; exit 77; }
dev=$(findmnt -nro SOURCE / | sed 's/\[.*//')
dev=$(readlink -f "$dev")
size=$(cat "/sys/class/block/${dev##*/}/size") || { echo "root is on $dev, which is no disk"; exit 77; }
set -- $(stat -f -c '%b %S' /)
echo "$((size * 512)) $(($1 * $2))"
`

const unitsScript = `
[ -d /run/systemd/system ] || { echo "no systemd"; exit 77; }
failed=$(systemctl list-units --failed --no-legend --plain | awk '{print $1}')
[ -n "$failed" ] || exit 0
echo $failed
for unit in $failed; do
  echo "$unit:"
  journalctl --no-pager -o cat -n 8 -u "$unit"
done
exit 1
`

const hostKeysScript = `
[ -d /etc/ssh ] || { echo "no SSH server"; exit 77; }
boot=$(awk '$1 == "btime" {print $2}' /proc/stat)
for key in /etc/ssh/ssh_host_*_key; do
  [ -s "$key" ] || { echo "there is no host key in /etc/ssh"; exit 1; }
  [ "$(stat -c %Y "$key")" -ge "$((boot - 5))" ] || { echo "$key is older than this boot: it came with the image"; exit 1; }
done
ls /etc/ssh/ssh_host_*_key | wc -l
`

const firmwareScript = `
[ -d /sys/firmware/efi ] || { echo bios; exit; }
[ -d /sys/firmware/efi/efivars ] && mountpoint -q /sys/firmware/efi/efivars || mount -t efivarfs efivarfs /sys/firmware/efi/efivars
for v in /sys/firmware/efi/efivars/SecureBoot-*; do
  [ "$(od -An -tu1 -j4 -N1 "$v" 2>/dev/null | tr -d ' ')" = 1 ] && { echo secureboot; exit; }
done
echo uefi
`

// probes are what every image must pass.
func (s *subject) probes(o *Options) []probe {
	list := []probe{
		{"hostname", guestrun.Command{Script: "hostname 2>/dev/null || cat /proc/sys/kernel/hostname"}, same("host name", s.machine.Name)},
	}
	if o.GrowPartition != "" {
		list = append(list, probe{"root grown", guestrun.Command{Script: rootScript}, s.judgeRoot})
	}
	return append(list,
		probe{"no failed units", guestrun.Command{Script: unitsScript}, judgeUnits},
		probe{"SSH key", guestrun.Command{Script: `grep -lF "$KEY" /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys 2>/dev/null; true`, Env: map[string]string{"KEY": s.sshKey}}, judgeKey},
		probe{"SSH host keys", guestrun.Command{Script: hostKeysScript}, judgeHostKeys},
		probe{"firmware", guestrun.Command{Script: firmwareScript}, same("boot mode", o.Mode)},
		probe{"clock", guestrun.Command{Script: "date +%s"}, func(r guestrun.Result) (bool, string) { return judgeClock(r, o.now()) }},
	)
}

// probes of the caller.
func (c Check) probe() probe {
	return probe{c.Name, guestrun.Command{Script: c.Command, Timeout: c.Timeout}, func(r guestrun.Result) (bool, string) {
		said := guestrun.LastLines(r.Output, 10)
		switch {
		case r.TimedOut:
			return false, "it did not end in time: " + said
		case r.ExitCode != c.ExitCode:
			return false, fmt.Sprintf("exit status %d, want %d: %s", r.ExitCode, c.ExitCode, said)
		case c.Expect != nil && !c.Expect.MatchString(strings.TrimRight(r.Output, "\n")):
			return false, fmt.Sprintf("the output does not match %q: %s", c.Expect, said)
		}
		return true, said
	}}
}

func same(what, want string) func(guestrun.Result) (bool, string) {
	return func(r guestrun.Result) (bool, string) {
		if got := strings.TrimSpace(guestrun.Plain(r.Output)); got != want {
			return false, fmt.Sprintf("%s %q, want %q", what, got, want)
		}
		return true, want
	}
}

func (s *subject) judgeRoot(r guestrun.Result) (bool, string) {
	partition, fs, ok := twoNumbers(r.Output)
	if !ok {
		return false, "root's size is not known: " + guestrun.LastLines(r.Output, 3)
	}
	detail := fmt.Sprintf("file system of %d MiB on a partition of %d MiB", fs>>20, partition>>20)
	switch {
	case partition < s.grown:
		return false, fmt.Sprintf("%s, which should have %d MiB", detail, s.grown>>20)
	case float64(fs) < 0.85*float64(partition): // the rest is the file system's own
		return false, detail + ": it was not grown"
	}
	return true, detail
}

func twoNumbers(s string) (a, b int64, ok bool) {
	fields := strings.Fields(s)
	if len(fields) != 2 {
		return 0, 0, false
	}
	a, err1 := strconv.ParseInt(fields[0], 10, 64)
	b, err2 := strconv.ParseInt(fields[1], 10, 64)
	return a, b, err1 == nil && err2 == nil
}

func judgeUnits(r guestrun.Result) (bool, string) {
	if r.ExitCode == 0 {
		return true, "none failed"
	}
	return false, strings.TrimSpace(guestrun.Plain(r.Output))
}

func judgeKey(r guestrun.Result) (bool, string) {
	if files := strings.Join(strings.Fields(guestrun.Plain(r.Output)), ", "); files != "" {
		return true, files
	}
	return false, "no user's authorized_keys has the key from the seed"
}

func judgeHostKeys(r guestrun.Result) (bool, string) {
	if r.ExitCode != 0 {
		return false, guestrun.LastLines(r.Output, 3)
	}
	return true, strings.TrimSpace(guestrun.Plain(r.Output)) + " keys made at this boot"
}

// maxClockError allows for a slow guest.
const maxClockError = 90 * time.Second

func judgeClock(r guestrun.Result, now time.Time) (bool, string) {
	seconds, err := strconv.ParseInt(strings.TrimSpace(r.Output), 10, 64)
	if err != nil {
		return false, "the guest's clock is not known: " + guestrun.LastLines(r.Output, 2)
	}
	off := time.Unix(seconds, 0).Sub(now).Round(time.Second)
	return off.Abs() <= maxClockError, fmt.Sprintf("%v from this host's", off)
}

// maxDetailBytes bounds what a check keeps of the guest's words.
const maxDetailBytes = 2000

func check(name string, passed bool, detail string) inventory.ImageCheck {
	if len(detail) > maxDetailBytes {
		detail = strings.ToValidUTF8(detail[:maxDetailBytes], "") + " …"
	}
	return inventory.ImageCheck{Name: name, Passed: passed, Detail: detail}
}
