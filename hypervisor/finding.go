package hypervisor

// Finding is one line of a host's check-up.
type Finding struct {
	// What was looked at ("storage", "KVM"), and what was found.
	What, Detail string
	// Level is how bad it is.
	Level FindingLevel
	// Try says what to do; empty when all is well.
	Try string
}

// FindingLevel is how bad a finding is.
type FindingLevel string

// A warning works, slower or with less; a failure does not.
const (
	OK      FindingLevel = "ok"
	Warning FindingLevel = "warning"
	Failed  FindingLevel = "failed"
)

// Capabilities is what a host can do.
type Capabilities struct {
	// Product and Version of the hypervisor ("libvirt", "9.0.0").
	Product, Version string
	// Accelerated is false where guests are emulated.
	Accelerated bool
	// Firmwares it has; SecureBoot and TPM it can give.
	BIOS, UEFI, SecureBoot, TPM bool
	// LinkedClones: a machine's disk can stand on the image's.
	LinkedClones bool
	// GrowRunning: disks of a machine that runs.
	GrowRunning bool
	// CPUs and MemoryBytes of the host; FreeMemoryBytes when it was asked.
	CPUs                         int
	MemoryBytes, FreeMemoryBytes int64
}

// Plan is what Create would do.
type Plan struct {
	// Steps in words, in order.
	Steps []string
	// Request is the driver's raw request (XML, JSON, a script's input).
	Request string
	// Clone is how the root disk would be made, Why the reason for a full copy.
	Clone CloneKind
	Why   string
}
