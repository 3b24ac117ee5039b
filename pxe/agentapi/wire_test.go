package agentapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"testing"

	"ingot/inventory"
)

func TestSeedRoundTrip(t *testing.T) {
	image := make([]byte, 4<<20)
	copy(image[1000:], "CIDATA")
	packed, err := PackSeed(image)
	if err != nil {
		t.Fatal(err)
	}
	if len(packed) > 64<<10 {
		t.Errorf("a seed of zeros packs to %d bytes", len(packed))
	}
	got, err := UnpackSeed(packed)
	if err != nil || !bytes.Equal(got, image) {
		t.Errorf("seed came back with %d bytes, %v", len(got), err)
	}
	if got, err := UnpackSeed(nil); got != nil || err != nil {
		t.Errorf("no seed = %d bytes, %v", len(got), err)
	}
}

// TestSeedBomb: a small packet must not fill an agent's memory.
func TestSeedBomb(t *testing.T) {
	packed, err := PackSeed(make([]byte, maxSeedBytes+1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := UnpackSeed(packed); err == nil {
		t.Errorf("a seed of more than %d bytes was unpacked", maxSeedBytes)
	}
	for name, bad := range map[string][]byte{"no gzip": []byte("hello"), "cut": packed[:len(packed)/2]} {
		if _, err := UnpackSeed(bad); err == nil {
			t.Errorf("%s: unpacked", name)
		}
	}
}

func TestPanicLine(t *testing.T) {
	for text, want := range map[string]string{
		"[    1.2] eth0: link up\n": "",
		"[    9.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000200\n": "[    9.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000200",
		"x\npanic: runtime error: index out of range\ny\n":                                    "panic: runtime error: index out of range",
		"fatal error: all goroutines are asleep":                                              "fatal error: all goroutines are asleep",
		"\xff\xfeOops: 0002 [#1]":                                                             "?Oops: 0002 [#1]",
		"":                                                                                    "",
	} {
		got, died := PanicLine([]byte(text))
		if got != want || died != (want != "") {
			t.Errorf("PanicLine(%q) = %q, %v; want %q", text, got, died, want)
		}
	}
}

func TestNamesAndTokens(t *testing.T) {
	a, hash := NewToken()
	b, _ := NewToken()
	if a == b || len(a) < 20 || hash != HashToken(a) || hash == HashToken(b) {
		t.Errorf("tokens %q, %q", a, b)
	}
	if x, y := NewBoot(), NewBoot(); x == y || len(x) != 16 {
		t.Errorf("boots %q, %q", x, y)
	}
}

// FuzzHello: what an agent says hello with is taken or refused as invalid; nothing else.
func FuzzHello(f *testing.F) {
	for _, h := range []Hello{{Boot: "boot-one", Identity: inventory.Identity{UUID: uuidA, MACs: []inventory.MAC{macA}}}, {}, {Boot: "x"}} {
		data, err := json.Marshal(h)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"boot":"boot-one","identity":{"macs":["not a mac"]}}`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var h Hello
		err := readJSON(httptest.NewRequest("POST", PathHello, bytes.NewReader(body)), &h)
		if err == nil {
			err = checkHello(&h)
		}
		if err != nil {
			if !errors.Is(err, inventory.ErrInvalid) {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		for _, mac := range h.Identity.MACs {
			if got, err := inventory.ParseMAC(string(mac)); err != nil || got != mac {
				t.Errorf("%q was taken with MAC %q", body, mac)
			}
		}
	})
}

// FuzzPanicLine looks for a kernel message that breaks the search.
func FuzzPanicLine(f *testing.F) {
	for _, s := range []string{"Kernel panic", "\xff", "BUG:\nOops:", ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if line, died := PanicLine(text); died != (line != "") {
			t.Errorf("PanicLine(%q) = %q, %v", text, line, died)
		}
	})
}
