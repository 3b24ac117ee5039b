package agent

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
)

const testPin = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

const goodLine = "initrd=initrd.img ingot.http=http://192.0.2.1:7480 ingot.api=https://192.0.2.1:7443 ingot.pin=" + testPin

func TestParseParams(t *testing.T) {
	base := Params{HTTP: "http://192.0.2.1:7480", API: "https://192.0.2.1:7443", Pin: testPin}
	with := func(change func(*Params)) Params { p := base; change(&p); return p }
	for _, c := range []struct {
		name, line, problem string
		want                Params
	}{
		{name: "media", line: goodLine + "\n", want: base},
		{name: "slash at the end", line: strings.Replace(goodLine, "7480", "7480/", 1), want: base},
		{name: "MAC", line: goodLine + " ingot.mac=52:54:00:ab:cd:ef console=ttyS0", want: with(func(p *Params) { p.MAC = "52:54:00:ab:cd:ef" })},
		{name: "BOOTIF", line: goodLine + " BOOTIF=01-52-54-00-AB-CD-EF", want: with(func(p *Params) { p.MAC = "52:54:00:ab:cd:ef" })},
		{name: "MAC before BOOTIF", line: "BOOTIF=01-52-54-00-00-00-01 " + goodLine + " ingot.mac=52:54:00:00:00:02", want: with(func(p *Params) { p.MAC = "52:54:00:00:00:02" })},
		{name: "IPv6", line: strings.ReplaceAll(goodLine, "192.0.2.1", "[2001:db8::1]"), want: with(func(p *Params) { p.HTTP, p.API = "http://[2001:db8::1]:7480", "https://[2001:db8::1]:7443" })},
		{name: "set", line: goodLine + " ingot.set=0a1b", want: with(func(p *Params) { p.Set = "0a1b" })},
		{name: "break", line: goodLine + " ingot.break=panic", want: with(func(p *Params) { p.Break = BreakPanic })},
		{name: "the last one counts", line: "ingot.pin=00 " + goodLine, want: base},
		{name: "empty", line: "", problem: "ingot.http"},
		{name: "no API", line: strings.Replace(goodLine, "ingot.api", "x", 1), problem: "ingot.api"},
		{name: "no pin", line: strings.Replace(goodLine, "ingot.pin", "x", 1), problem: "ingot.pin"},
		{name: "short pin", line: strings.Replace(goodLine, testPin, "abcd", 1), problem: `ingot.pin="abcd"`},
		{name: "API without TLS", line: strings.Replace(goodLine, "https:", "http:", 1), problem: "https://ADDRESS:PORT"},
		{name: "host name", line: strings.ReplaceAll(goodLine, "192.0.2.1", "server"), problem: "ADDRESS:PORT"},
		{name: "bad MAC", line: goodLine + " ingot.mac=52:54", problem: `ingot.mac="52:54"`},
		{name: "unknown break", line: goodLine + " ingot.break=fast", problem: `ingot.break="fast"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseParams(c.line)
			if text := contains(err, c.problem); text != "" {
				t.Error(text)
			}
			if err != nil {
				if !errors.Is(err, inventory.ErrInvalid) {
					t.Errorf("error %v is not ErrInvalid", err)
				}
				return
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func FuzzParseParams(f *testing.F) {
	f.Add(goodLine)
	f.Add(goodLine + " ingot.mac=52:54:00:ab:cd:ef ingot.break=hang")
	f.Add(`"ingot.http=" BOOTIF=01-`)
	f.Fuzz(func(t *testing.T, line string) {
		p, err := ParseParams(line)
		if err != nil && !errors.Is(err, inventory.ErrInvalid) {
			t.Errorf("error %v is not ErrInvalid", err)
		}
		if err == nil && (!strings.HasPrefix(p.API, "https://") || len(p.Pin) != 64) {
			t.Errorf("parsed %+v", p)
		}
	})
}
