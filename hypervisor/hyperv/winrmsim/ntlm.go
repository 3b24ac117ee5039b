package winrmsim

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/rc4"
	"encoding/binary"
	"errors"
	"strings"
	"time"
	"unicode/utf16"

	//lint:ignore SA1019 NTLM is made of it (MS-NLMP 3.3.2)
	"golang.org/x/crypto/md4"
)

// The flags of MS-NLMP 2.2.2.5 that matter here.
const (
	ntlmUnicode       = 1 << 0
	ntlmRequestTarget = 1 << 2
	ntlmSign          = 1 << 4
	ntlmSeal          = 1 << 5
	ntlmNTLM          = 1 << 9
	ntlmAlwaysSign    = 1 << 15
	ntlmTargetServer  = 1 << 17
	ntlmExtended      = 1 << 19
	ntlmTargetInfo    = 1 << 23
	ntlmVersion       = 1 << 25
	ntlm128           = 1 << 29
	ntlmKeyExchange   = 1 << 30
	// A server grants of these what its client asks for, and those anyway (3.2.5.1.1).
	ntlmGranted         = ntlmUnicode | ntlmRequestTarget | ntlmSign | ntlmSeal | ntlmAlwaysSign | ntlm128 | ntlmKeyExchange
	ntlmAlways          = ntlmNTLM | ntlmTargetServer | ntlmExtended | ntlmTargetInfo | ntlmVersion
	avComputer          = 1
	avDomain            = 2
	avDNSComputer       = 3
	avFlags             = 6
	avTimestamp         = 7
	avChannelBindings   = 10
	avFlagMIC           = 2
	computerName        = "WINRMSIM"
	ntlmSignature       = "NTLMSSP\x00"
	negotiateLength     = 16
	authenticateLength  = 64
	micOffset, micBytes = 72, 16
)

var errNTLM = errors.New("refused")

// handshake is the server's side of one NTLM login.
type handshake struct {
	negotiate, challenge []byte
	nonce                [8]byte
}

// begin answers a NEGOTIATE_MESSAGE with a CHALLENGE_MESSAGE (MS-NLMP 2.2.1.1, 2.2.1.2).
func (h *handshake) begin(negotiate []byte) ([]byte, error) {
	if len(negotiate) < negotiateLength || messageType(negotiate) != 1 {
		return nil, errNTLM
	}
	rand.Read(h.nonce[:])
	name, info := utf16le(computerName), targetInfo()
	b := append([]byte(ntlmSignature), 2, 0, 0, 0)
	b = field(b, len(name), 56)
	b = binary.LittleEndian.AppendUint32(b, binary.LittleEndian.Uint32(negotiate[12:])&ntlmGranted|ntlmAlways)
	b = append(b, h.nonce[:]...)
	b = append(b, make([]byte, 8)...)
	b = field(b, len(info), 56+len(name))
	b = append(b, 10, 0, 0x63, 0x45, 0, 0, 0, 15) // Windows Server 2019, NTLMSSP_REVISION_W2K3
	b = append(append(b, name...), info...)
	h.negotiate, h.challenge = bytes.Clone(negotiate), b
	return b, nil
}

// targetInfo is the list of AV_PAIRs (MS-NLMP 2.2.2.1); with a timestamp in it clients have
// to send a MIC (3.1.5.1.2).
func targetInfo() []byte {
	var b []byte
	pair := func(id uint16, value []byte) {
		b = binary.LittleEndian.AppendUint16(b, id)
		b = append(binary.LittleEndian.AppendUint16(b, uint16(len(value))), value...)
	}
	pair(avDomain, utf16le(computerName))
	pair(avComputer, utf16le(computerName))
	pair(avDNSComputer, utf16le(strings.ToLower(computerName)))
	const epoch = 116444736000000000 // 1970 in FILETIME's 100 ns since 1601
	pair(avTimestamp, binary.LittleEndian.AppendUint64(nil, uint64(time.Now().UnixNano()/100+epoch)))
	pair(0, nil)
	return b
}

// finish checks an AUTHENTICATE_MESSAGE (MS-NLMP 2.2.1.3, 3.3.2). binding is the MD5 of
// the channel's; strict refuses a client that sends none.
func (h *handshake) finish(message []byte, user, password string, binding []byte, strict bool) error {
	if h.challenge == nil || len(message) < authenticateLength || messageType(message) != 3 {
		return errNTLM
	}
	response, ok1 := payload(message, 20)
	domain, ok2 := payload(message, 28)
	name, ok3 := payload(message, 36)
	key, ok4 := payload(message, 52)
	domain, name = wide(message, domain), wide(message, name)
	// A response of 24 bytes is NTLMv1's (2.2.2.6), which is off (LmCompatibilityLevel).
	if !ok1 || !ok2 || !ok3 || !ok4 || len(response) < 44 || !bytes.EqualFold(name, utf16le(user)) {
		return errNTLM
	}
	owf := hmacMD5(md4sum(utf16le(password)), append(utf16le(strings.ToUpper(user)), domain...))
	proof := hmacMD5(owf, h.nonce[:], response[16:])
	if !hmac.Equal(proof, response[:16]) {
		return errNTLM
	}
	pairs := avPairs(response[44:])
	return errors.Join(h.integrity(message, pairs, hmacMD5(owf, proof), key), bound(pairs, binding, strict))
}

// wide is a name of an AUTHENTICATE_MESSAGE in UTF-16: a client that asked for no Unicode, as
// pywinrm's, sends its computer's own character set (MS-NLMP 2.2.2.5, flag A), here ASCII.
func wide(message, name []byte) []byte {
	if binary.LittleEndian.Uint32(message[60:])&ntlmUnicode != 0 {
		return name
	}
	return utf16le(string(name))
}

// integrity checks the MIC where the client says there is one (MS-NLMP 3.2.5.1.2).
func (h *handshake) integrity(message []byte, pairs map[uint16][]byte, base, key []byte) error {
	if f := pairs[avFlags]; len(f) != 4 || binary.LittleEndian.Uint32(f)&avFlagMIC == 0 {
		return nil
	}
	if len(message) < micOffset+micBytes {
		return errNTLM
	}
	if binary.LittleEndian.Uint32(message[60:])&ntlmKeyExchange != 0 {
		c, err := rc4.NewCipher(base)
		if err != nil || len(key) != 16 {
			return errNTLM
		}
		base = make([]byte, 16)
		c.XORKeyStream(base, key)
	}
	bare := bytes.Clone(message)
	clear(bare[micOffset : micOffset+micBytes])
	if !hmac.Equal(hmacMD5(base, h.negotiate, h.challenge, bare), message[micOffset:micOffset+micBytes]) {
		return errNTLM
	}
	return nil
}

// bound checks the channel binding as CbtHardeningLevel says: Relaxed checks one that is
// sent, Strict wants one (Extended Protection for Authentication; RFC 5929 4).
func bound(pairs map[uint16][]byte, want []byte, strict bool) error {
	got := pairs[avChannelBindings]
	if len(bytes.Trim(got, "\x00")) == 0 {
		if strict {
			return errNTLM
		}
		return nil
	}
	if !bytes.Equal(got, want) {
		return errNTLM
	}
	return nil
}

// avPairs reads a list of AV_PAIRs up to its end.
func avPairs(b []byte) map[uint16][]byte {
	pairs := map[uint16][]byte{}
	for len(b) >= 4 {
		id, n := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		if id == 0 || len(b) < 4+n {
			break
		}
		pairs[id], b = b[4:4+n], b[4+n:]
	}
	return pairs
}

func messageType(b []byte) uint32 {
	if !bytes.HasPrefix(b, []byte(ntlmSignature)) {
		return 0
	}
	return binary.LittleEndian.Uint32(b[8:])
}

// field appends a length, a capacity and an offset.
func field(b []byte, n, at int) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(n))
	b = binary.LittleEndian.AppendUint16(b, uint16(n))
	return binary.LittleEndian.AppendUint32(b, uint32(at))
}

// payload is what the field at an offset points to.
func payload(b []byte, at int) ([]byte, bool) {
	n, from := int(binary.LittleEndian.Uint16(b[at:])), int(binary.LittleEndian.Uint32(b[at+4:]))
	if n == 0 {
		return nil, true
	}
	if from > len(b) || n > len(b)-from {
		return nil, false
	}
	return b[from : from+n], true
}

func utf16le(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

func hmacMD5(key []byte, parts ...[]byte) []byte {
	h := hmac.New(md5.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func md4sum(b []byte) []byte {
	h := md4.New()
	h.Write(b)
	return h.Sum(nil)
}
