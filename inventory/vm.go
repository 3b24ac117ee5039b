package inventory

import (
	"crypto/rand"
	"fmt"
	"time"
)

// VMSectorBytes is what disks of VMs count in.
const VMSectorBytes = 512

// VMSpec is what is wanted of a virtual machine beside its image.
type VMSpec struct {
	// Host is where it is to be, AnyHost until it is placed.
	Host string `json:"host"`
	CPUs int    `json:"cpus"`
	// MemoryBytes is a multiple of 1 MiB.
	MemoryBytes int64 `json:"memoryBytes"`
	// DiskBytes are the sizes of the disks, the root disk first; 0 is the image's own.
	DiskBytes []int64 `json:"diskBytes"`
	NICs      []VMNIC `json:"nics"`
	// Firmware empty is the best that the image boots in.
	Firmware   FirmwareMode `json:"firmware,omitempty"`
	SecureBoot bool         `json:"secureBoot,omitempty"`
	TPM        bool         `json:"tpm,omitempty"`
	// Remove takes the machine out of the inventory when its host has none of it left.
	Remove bool `json:"remove,omitempty"`
}

// Check reports the first thing that no host could make, as ErrInvalid.
func (v *VMSpec) Check() error {
	switch {
	case v.CPUs < 1:
		return Invalid("%d CPUs (want 1 or more)", v.CPUs)
	case v.MemoryBytes < 16<<20 || v.MemoryBytes%(1<<20) != 0:
		return Invalid("memory of %d bytes (want a multiple of 1 MiB, at least 16)", v.MemoryBytes)
	case len(v.DiskBytes) == 0:
		return Invalid("no disk")
	case v.SecureBoot && v.Firmware == FirmwareBIOS:
		return Invalid("Secure Boot needs UEFI")
	}
	for i, size := range v.DiskBytes {
		if size < 0 || size%512 != 0 || size == 0 && i > 0 {
			return Invalid("disk %d of %d bytes (want a multiple of 512)", i, size)
		}
	}
	return nil
}

// AnyHost asks for a place on whichever host suits.
const AnyHost = "any"

// VMNIC is a NIC of a virtual machine. Network is the host's name for what it is attached
// to, empty for the host's default.
type VMNIC struct {
	MAC     MAC    `json:"mac"`
	Network string `json:"network,omitempty"`
	VLAN    int    `json:"vlan,omitempty"`
}

// VMStatus is what a virtual machine's host has of it.
type VMStatus struct {
	// Generation is the order that it was made for; UUID the host's own name.
	Generation int64  `json:"generation"`
	UUID       string `json:"uuid"`
	// Clone says how its root disk stands to the image, Why the reason for a full copy.
	Clone string `json:"clone,omitempty"`
	Why   string `json:"why,omitempty"`
}

// NewVM returns a virtual machine that nothing has been done for yet. NICs without a MAC
// get one of QEMU's range with the group bit clear (52:54:00, random).
func NewVM(name string, spec VMSpec, now time.Time) *Machine {
	m := &Machine{ID: newID(), Name: name, Kind: KindVM, Created: now, Updated: now,
		Status: Status{State: Ready, PhaseSince: now}}
	for i := range spec.NICs {
		if spec.NICs[i].MAC == "" {
			spec.NICs[i].MAC = newMAC()
		}
		m.Identity.MACs = append(m.Identity.MACs, spec.NICs[i].MAC)
	}
	m.Spec = Spec{Approved: true, VM: &spec}
	return m
}

func newMAC() MAC {
	b := make([]byte, 3)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return MAC(fmt.Sprintf("52:54:00:%02x:%02x:%02x", b[0], b[1], b[2]))
}

// Placed: a virtual machine was given a host; Why is the reason in words.
type Placed struct {
	Host string `json:"host"`
	Why  string `json:"why,omitempty"`
}

// Kind implements Payload.
func (Placed) Kind() EventKind { return EventPlaced }
func (p Placed) String() string {
	if p.Why == "" {
		return "on host " + p.Host
	}
	return fmt.Sprintf("on host %s: %s", p.Host, p.Why)
}

// VMMade: a host has a virtual machine now.
type VMMade struct {
	Host     string        `json:"host"`
	UUID     string        `json:"uuid"`
	Clone    string        `json:"clone"`
	Why      string        `json:"why,omitempty"`
	Duration time.Duration `json:"duration"`
}

// Kind implements Payload.
func (VMMade) Kind() EventKind { return EventVMMade }
func (p VMMade) String() string {
	text := fmt.Sprintf("made on %s as a %s in %s", p.Host, p.Clone, p.Duration.Round(10*time.Millisecond))
	if p.Why != "" {
		text += " (" + p.Why + ")"
	}
	return text
}

// VMGone: a host has nothing of a virtual machine any more.
type VMGone struct {
	Host string `json:"host"`
}

// Kind implements Payload.
func (VMGone) Kind() EventKind  { return EventVMGone }
func (p VMGone) String() string { return "deleted on host " + p.Host }
