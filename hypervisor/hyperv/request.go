package hyperv

// What the scripts get as $Request. Slices are never nil: Windows PowerShell makes one
// element of a JSON null. Lock is the file that a script which changes something holds open
// while it runs.

type hostRequest struct{ Storage string }

type placeRequest struct{ Images string }

// selection is of machines: those with a mark in their notes or a folder before their path,
// or with Others all the rest. The mark "" is in all notes.
type selection struct {
	Marks, Folders []string
	Others         bool
}

type watchRequest struct{ Marks, Folders []string }

// pullRequest: Stuck says that the attempts before brought nothing; if this one does not
// either although it was answered, what came goes.
type pullRequest struct {
	URL               string `json:"Url"`
	CertificateSHA256 string `json:"CertificateSha256"`
	Folder, Partial   string
	Lock              string
	SizeBytes         int64
	MaxBytes          int64
	MaxSeconds        int
	Stuck             bool
}

type finishImageRequest struct {
	Partial, Image string
	Lock           string
	SizeBytes      int64
	SHA256         string `json:"Sha256"`
	DiskBytes      int64
}

// removeImageRequest: Folder is searched for disks that stand on Image; parts in Images
// start with Stem.
type removeImageRequest struct{ Image, Folder, Images, Stem, Lock string }

type createRequest struct {
	Lock                      string
	Folder, Name, VisibleName string
	Generation, Cpus          int
	MemoryBytes               int64
	SecureBoot, Tpm           bool
	Making, Made              string
	Disks                     []diskRequest
	Seed                      seedRequest
	Nics                      []nicRequest
}

// diskRequest: Parent is empty for one that stands alone. SizeBytes 0 is the parent's.
type diskRequest struct {
	Path, Parent string
	SizeBytes    int64
	Controller   string
	Location     int
}

// seedRequest: Gzip is the VHDX, packed and in Base64; empty for none.
type seedRequest struct {
	Path, Gzip string
	SHA256     string `json:"Sha256"`
	Location   int
}

// nicRequest: Mac is twelve hex digits, VlanId 0 is untagged.
type nicRequest struct {
	Name, Mac, Switch string
	VlanID            int `json:"VlanId"`
}

// deleteRequest: a machine in Folders that is not among VmIds ends the script.
type deleteRequest struct {
	Lock    string
	VMIDs   []string `json:"VmIds"`
	Folders []string
}

type powerRequest struct {
	Lock   string
	VMID   string `json:"VmId"`
	Action powerAction
}

// powerAction is what the power script does.
type powerAction string

const (
	look     powerAction = "look"
	start    powerAction = "start"
	turnOff  powerAction = "turnoff"
	shutDown powerAction = "shutdown"
)

type checkpointsRequest struct {
	VMID string `json:"VmId"`
}

type checkpointRequest struct {
	Lock string
	VMID string `json:"VmId"`
	Name string
}

// oneCheckpoint is the request of the scripts that work on a checkpoint.
type oneCheckpoint struct {
	Lock         string
	VMID         string `json:"VmId"`
	CheckpointID string `json:"CheckpointId"`
}

type growDiskRequest struct {
	Lock      string
	VMID      string `json:"VmId"`
	Path      string
	SizeBytes int64
}

type setSizeRequest struct {
	Lock        string
	VMID        string `json:"VmId"`
	Cpus        int
	MemoryBytes int64
}

// setNotesRequest: Before is what they were when they were read.
type setNotesRequest struct {
	Lock          string
	VMID          string `json:"VmId"`
	Before, Notes string
}
