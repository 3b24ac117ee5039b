package facts

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// errNoBMC means that there is no device to talk to one.
var errNoBMC = errors.New("no /dev/ipmi0")

// ipmiTimeout is for one command.
const ipmiTimeout = 3 * time.Second

// ipmiSession is the open device of the local BMC; file is nil on a dump.
type ipmiSession struct {
	tree tree
	file *os.File
	next int
}

// openIPMI opens the device, or a dump's answers.
func (t tree) openIPMI() (*ipmiSession, error) {
	if !t.live() {
		if !t.exists("ioctl/ipmi0") {
			return nil, errNoBMC
		}
		return &ipmiSession{tree: t}, nil
	}
	f, err := os.OpenFile("/dev/ipmi0", os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, errNoBMC
	}
	if err != nil {
		return nil, err
	}
	return &ipmiSession{tree: t, file: f}, nil
}

func (s *ipmiSession) close() {
	if s.file != nil {
		s.file.Close()
	}
}

// ask sends a command and returns the answer without its completion code, which is an
// error when it isn't 0. In a dump the answer with its code is in
// ioctl/ipmi0/ipmi-NETFN-COMMAND[-DATA], in hexadecimal.
func (s *ipmiSession) ask(netFn, command byte, data ...byte) ([]byte, error) {
	question := fmt.Sprintf("ipmi-%02x-%02x", netFn, command)
	if len(data) > 0 {
		question += "-" + hex.EncodeToString(data)
	}
	answer, err := s.tree.ask("ipmi0", question, func() ([]byte, error) { return s.exchange(netFn, command, data) })
	if err != nil {
		return nil, err
	}
	if len(answer) < 1 {
		return nil, errors.New("empty answer")
	}
	if answer[0] != 0 {
		return nil, fmt.Errorf("completion code 0x%02x: %w", answer[0], errors.ErrUnsupported)
	}
	return answer[1:], nil
}

// The structures of linux/ipmi.h.
type (
	ipmiMessage struct {
		netFn, command uint8
		dataLen        uint16
		data           unsafe.Pointer
	}
	ipmiRequest struct {
		addr    unsafe.Pointer
		addrLen uint32
		id      int
		msg     ipmiMessage
	}
	ipmiReceived struct {
		kind    int32
		addr    unsafe.Pointer
		addrLen uint32
		id      int
		msg     ipmiMessage
	}
	ipmiAddress struct { // struct ipmi_system_interface_addr
		kind    int32
		channel int16
		lun     uint8
	}
)

const (
	ipmiSendCommand     = 0x8028690d // IPMICTL_SEND_COMMAND
	ipmiReceive         = 0xc030690b // IPMICTL_RECEIVE_MSG_TRUNC
	ipmiSystemInterface = 0x0c       // IPMI_SYSTEM_INTERFACE_ADDR_TYPE
	ipmiBMCChannel      = 0xf        // IPMI_BMC_CHANNEL
	ipmiMaxMessage      = 272        // IPMI_MAX_MSG_LENGTH
	ipmiMaxAddress      = 32
)

// exchange sends one command and waits for its answer.
func (s *ipmiSession) exchange(netFn, command byte, data []byte) ([]byte, error) {
	s.next++
	addr := ipmiAddress{kind: ipmiSystemInterface, channel: ipmiBMCChannel}
	req := ipmiRequest{addr: unsafe.Pointer(&addr), addrLen: uint32(unsafe.Sizeof(addr)), id: s.next,
		msg: ipmiMessage{netFn: netFn, command: command, dataLen: uint16(len(data))}}
	if len(data) > 0 {
		req.msg.data = unsafe.Pointer(&data[0])
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, s.file.Fd(), ipmiSendCommand, uintptr(unsafe.Pointer(&req))); errno != 0 {
		return nil, fmt.Errorf("send to BMC: %w", errno)
	}
	deadline := time.Now().Add(ipmiTimeout)
	for {
		answer, id, err := s.receive(time.Until(deadline))
		if err != nil || id == s.next {
			return answer, err
		}
	}
}

// receive waits for one message; answers of earlier commands may come late.
func (s *ipmiSession) receive(wait time.Duration) ([]byte, int, error) {
	fds := []unix.PollFd{{Fd: int32(s.file.Fd()), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, int(max(wait, 0).Milliseconds()))
	if errors.Is(err, unix.EINTR) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("wait for BMC: %w", err)
	}
	if n == 0 {
		return nil, 0, fmt.Errorf("wait for BMC: %w in %s", errNoAnswer, ipmiTimeout)
	}
	var addr [ipmiMaxAddress]byte
	buf := make([]byte, ipmiMaxMessage)
	got := ipmiReceived{addr: unsafe.Pointer(&addr[0]), addrLen: ipmiMaxAddress, msg: ipmiMessage{data: unsafe.Pointer(&buf[0]), dataLen: ipmiMaxMessage}}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, s.file.Fd(), ipmiReceive, uintptr(unsafe.Pointer(&got))); errno != 0 {
		return nil, 0, fmt.Errorf("receive from BMC: %w", errno)
	}
	return buf[:min(int(got.msg.dataLen), len(buf))], got.id, nil
}
