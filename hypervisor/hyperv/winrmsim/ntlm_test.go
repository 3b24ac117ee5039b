package winrmsim

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/bodgit/ntlmssp"
)

// login goes through a handshake with an independent client, whose last message is spoilt.
func login(t *testing.T, user, password string, bound *ntlmssp.ChannelBindings, spoil func([]byte)) (h handshake, message []byte) {
	t.Helper()
	c, err := ntlmssp.NewClient(ntlmssp.SetUserInfo(user, password), ntlmssp.SetDomain("CORP"))
	if err != nil {
		t.Fatal(err)
	}
	hello, err := c.Authenticate(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	challenge, err := h.begin(hello)
	if err != nil {
		t.Fatal(err)
	}
	message, err = c.Authenticate(bytes.Clone(challenge), bound)
	if err != nil {
		t.Fatal(err)
	}
	if spoil != nil {
		spoil(message)
	}
	return h, message
}

func TestNTLM(t *testing.T) {
	s := New(Options{})
	defer s.Close()
	bound := &ntlmssp.ChannelBindings{ApplicationData: []byte("tls-server-end-point:another")}
	for name, test := range map[string]struct {
		user, password string
		bound          *ntlmssp.ChannelBindings
		spoil          func([]byte)
		strict, ok     bool
	}{
		"good":                {"user", "pass", nil, nil, false, true},
		"user in other case":  {"USER", "pass", nil, nil, false, true},
		"wrong password":      {"user", "Pass", nil, nil, false, false},
		"another user":        {"root", "pass", nil, nil, false, false},
		"unbound, strict":     {"user", "pass", nil, nil, true, false},
		"bound to another":    {"user", "pass", bound, nil, false, false},
		"spoilt MIC":          {"user", "pass", nil, func(b []byte) { b[micOffset] ^= 1 }, false, false},
		"spoilt flags":        {"user", "pass", nil, func(b []byte) { b[63] ^= 1 }, false, false},
		"spoilt proof":        {"user", "pass", nil, func(b []byte) { r, _ := payload(b, 20); r[0] ^= 1 }, false, false},
		"spoilt session key":  {"user", "pass", nil, func(b []byte) { r, _ := payload(b, 52); r[0] ^= 1 }, false, false},
		"response out of it":  {"user", "pass", nil, func(b []byte) { binary.LittleEndian.PutUint32(b[24:], 1<<30) }, false, false},
		"NTLMv1's length":     {"user", "pass", nil, func(b []byte) { b[20] = 24; b[21] = 0 }, false, false},
		"another message":     {"user", "pass", nil, func(b []byte) { b[8] = 1 }, false, false},
		"another domain then": {"user", "pass", nil, func(b []byte) { d, _ := payload(b, 28); d[0] ^= 1 }, false, false},
	} {
		h, message := login(t, test.user, test.password, test.bound, test.spoil)
		if err := h.finish(message, "user", "pass", s.binding(), test.strict); (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	var h handshake
	if _, err := h.begin([]byte("NTLMSSP\x00")); err == nil {
		t.Error("a short NEGOTIATE_MESSAGE is taken")
	}
	if err := h.finish(make([]byte, 100), "user", "pass", nil, false); err == nil {
		t.Error("an AUTHENTICATE_MESSAGE without a challenge is taken")
	}
}

func FuzzFinish(f *testing.F) {
	f.Add([]byte(ntlmSignature + "\x03\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h := handshake{challenge: []byte("x"), negotiate: []byte("y")}
		if h.finish(b, "user", "pass", nil, false) == nil {
			t.Error("let in")
		}
	})
}
