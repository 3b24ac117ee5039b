package sim

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ingot/hypervisor/drivertest"
	"ingot/hypervisor/hyperv/powershell"
)

// bench is a host with a folder, a disk and a machine of generation 2.
type bench struct {
	*testing.T
	h *Host
	m *machine
}

const (
	benchFolder = `D:\bench`
	benchDisk   = benchFolder + `\disk.vhdx`
)

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{T: t, h: New(Options{MemoryBytes: 1 << 30})}
	b.must(b.h.mkdir(benchFolder))
	b.must(b.h.newVHD(benchDisk, "", 1<<30, 1<<20))
	b.m = b.machine("one", 2)
	return b
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) machine(name string, generation int) *machine {
	b.Helper()
	m, err := b.h.newVM(name, benchFolder, generation, 512<<20)
	b.must(err)
	return m
}

// child makes a differencing disk on the bench's.
func (b *bench) child(name string) string {
	b.Helper()
	path := benchFolder + `\` + name
	b.must(b.h.newVHD(path, benchDisk, 0, 0))
	return path
}

// attached gives the machine a disk and starts it.
func (b *bench) attached(m *machine, controller, path string) {
	b.Helper()
	b.must(b.h.addDrive(m, drive{path, controller, 0, 0}))
	b.must(b.h.startVM(m))
}

func second[A any](_ A, err error) error { return err }

// breaks does what each rule refuses.
var breaks = map[string]func(b *bench) error{
	noSuchVM.what:    func(b *bench) error { return second(b.h.getVM("00000000-0000-0000-0000-000000000000")) },
	denied.what:      func(b *bench) error { b.h.denied = true; return second(b.h.getVM(b.m.id)) },
	nameTooLong.what: func(b *bench) error { return second(b.h.newVM(strings.Repeat("n", 101), benchFolder, 2, 64<<20)) },
	memoryOdd.what: func(b *bench) error {
		if b.h.resize(b.m, 1, 16<<20) == nil {
			b.Error("16 MiB are taken")
		}
		return second(b.h.newVM("odd", benchFolder, 2, 65<<20))
	},
	pathMissing.what: func(b *bench) error { return second(b.h.newVM("two", `D:\nowhere`, 2, 64<<20)) },
	vhdSize.what: func(b *bench) error {
		if b.h.resizeVHD(benchDisk, 1<<20) == nil {
			b.Error("it shrank")
		}
		return b.h.newVHD(benchFolder+`\odd.vhdx`, "", 2000000000, 1<<20)
	},
	vhdFolder.what:  func(b *bench) error { return b.h.newVHD(`D:\nowhere\x.vhdx`, "", 1<<30, 1<<20) },
	vhdExists.what:  func(b *bench) error { return b.h.newVHD(benchDisk, "", 1<<30, 1<<20) },
	vhdMissing.what: func(b *bench) error { return b.h.newVHD(benchFolder+`\child.vhdx`, benchFolder+`\none.vhdx`, 0, 0) },
	vhdBroken.what: func(b *bench) error {
		b.h.Put(benchFolder+`\text.vhdx`, []byte("text"))
		return second(b.h.getVHD(benchFolder + `\text.vhdx`))
	},
	vhdUnknown.what: func(b *bench) error {
		b.h.Put(benchFolder+`\disk.vmdk`, nil)
		return second(b.h.getVHD(benchFolder + `\disk.vmdk`))
	},
	vhdSqueezed.what: func(b *bench) error {
		b.h.SetSparse(benchDisk)
		return b.h.addDrive(b.m, drive{benchDisk, "SCSI", 0, 0})
	},
	parentMissing.what: func(b *bench) error {
		path := b.child("child.vhdx")
		b.h.Remove(benchDisk)
		return b.h.addDrive(b.m, drive{path, "SCSI", 0, 0})
	},
	parentChanged.what: func(b *bench) error {
		path := b.child("child.vhdx")
		b.must(b.h.addDrive(b.m, drive{path, "SCSI", 0, 0}))
		b.h.Touch(benchDisk)
		return b.h.startVM(b.m)
	},
	parentCheck.what: func(b *bench) error {
		return b.h.newVHD(benchFolder+`\child.vhdx`, b.h.over(benchDisk), 0, 0)
	},
	vhdInUse.what: func(b *bench) error {
		b.child("child.vhdx")
		if b.h.resizeVHD(benchDisk, 2<<30) == nil {
			b.Error("a parent grew")
		}
		old := b.machine("old", 1)
		b.must(b.h.newVHD(benchFolder+`\ide.vhdx`, "", 1<<30, 1<<20))
		b.attached(old, "IDE", benchFolder+`\ide.vhdx`)
		return b.h.resizeVHD(benchFolder+`\ide.vhdx`, 2<<30)
	},
	fileInUse.what: func(b *bench) error {
		b.attached(b.m, "SCSI", b.child("child.vhdx"))
		if b.h.removeFile(benchDisk) == nil {
			b.Error("the parent is gone")
		}
		return b.h.removeTree(benchFolder)
	},
	diskReadOnly.what: func(b *bench) error { b.h.Lock(); return b.h.mkdir(`D:\other`) },
	notVHDX.what: func(b *bench) error {
		b.must(b.h.newVHD(benchFolder+`\old.vhd`, "", 1<<30, 1<<20))
		return b.h.addDrive(b.m, drive{benchFolder + `\old.vhd`, "SCSI", 0, 0})
	},
	placeTaken.what: func(b *bench) error {
		b.must(b.h.addDrive(b.m, drive{benchDisk, "SCSI", 0, 0}))
		for _, d := range []drive{{benchDisk, "SCSI", 0, 64}, {benchDisk, "IDE", 0, 0}} {
			if b.h.addDrive(b.m, d) == nil {
				b.Errorf("%+v is taken", d)
			}
		}
		return b.h.addDrive(b.m, drive{benchDisk, "SCSI", 0, 0})
	},
	noSwitch.what: func(b *bench) error { return second(b.h.addCard(b.m, "nic0", "Nowhere", "525400000001")) },
	badVLAN.what: func(b *bench) error {
		c, err := b.h.addCard(b.m, "nic0", "Internal", "525400000001")
		b.must(err)
		b.must(b.h.setVLAN(c, 4094))
		if b.h.setVLAN(c, 0) == nil {
			b.Error("VLAN 0")
		}
		return b.h.setVLAN(c, 4095)
	},
	noFirmware.what: func(b *bench) error { return b.h.setFirmware(b.machine("old", 1), "", false, "") },
	noTPM.what:      func(b *bench) error { return b.h.enableTPM(b.m) },
	tooManyCPUs.what: func(b *bench) error {
		if b.h.resize(b.m, 0, 64<<20) == nil {
			b.Error("no CPU at all")
		}
		return b.h.resize(b.m, hostCPUs+1, 64<<20)
	},
	notOff.what: func(b *bench) error {
		b.must(b.h.startVM(b.m))
		for what, err := range map[string]error{"start": b.h.startVM(b.m), "remove": b.h.removeVM(b.m), "drop saved state": b.h.removeSaved(b.m), "restore": b.h.restore(b.m, nil)} {
			if err == nil {
				b.Errorf("%s of a running machine", what)
			}
		}
		b.m.state = "Saved"
		if b.h.stopVM(b.m) == nil {
			b.Error("a saved machine is turned off")
		}
		return b.h.resize(b.m, 2, 64<<20)
	},
	outOfMemory.what: func(b *bench) error {
		b.must(b.h.startVM(b.m))
		b.must(b.h.startVM(b.machine("two", 2)))
		return b.h.startVM(b.machine("three", 2))
	},
	checkpointsOff.what: func(b *bench) error { b.m.checkpointType = "Disabled"; return b.h.checkpointVM(b.m, "kept") },
}

func TestRules(t *testing.T) {
	if len(breaks) != len(table) {
		t.Errorf("%d rules, %d are tried", len(table), len(breaks))
	}
	for _, r := range table {
		t.Run(r.what, func(t *testing.T) {
			b := newBench(t)
			err := breaks[r.what](b)
			var fault *powershell.Error
			if !errors.As(err, &fault) || !strings.HasPrefix(fault.ID, r.id) || fault.Category != r.category || fault.HResult != r.hresult || r.source == "" {
				t.Errorf("got %+v, want %+v", err, r)
			}
		})
	}
}

// What Hyper-V allows, and a driver might think it does not.
func TestAllowed(t *testing.T) {
	b := newBench(t)
	twin := b.machine("one", 2)
	for _, m := range []*machine{b.m, twin} {
		if _, err := b.h.addCard(m, "nic0", "Internal", "525400000001"); err != nil {
			t.Errorf("a MAC twice: %v", err)
		}
	}
	if twin.id == b.m.id || twin.name != b.m.name {
		t.Errorf("a name twice: %+v", twin)
	}
	path := b.child("child.vhdx")
	if err := b.h.resizeVHD(path, 2<<30); err != nil {
		t.Errorf("a child larger than its parent: %v", err)
	}
	b.attached(b.m, "SCSI", path)
	if err := b.h.resizeVHD(path, 3<<30); err != nil {
		t.Errorf("a disk on SCSI grows while its machine runs: %v", err)
	}
}

func TestSecureBoot(t *testing.T) {
	for template, boots := range map[string]bool{"": false, "MicrosoftUEFICertificateAuthority": true} {
		b := newBench(t)
		b.must(b.h.setFirmware(b.m, "", true, template))
		b.must(b.h.startVM(b.m))
		if b.h.Booted(b.m.id) != boots {
			t.Errorf("template %q: Linux boots: %v", template, !boots)
		}
	}
}

func TestAutomaticCheckpoint(t *testing.T) {
	b := newBench(t)
	b.m.autoCheckpoints = true
	b.attached(b.m, "SCSI", benchDisk)
	if len(b.m.checkpoints) != 1 || !strings.HasSuffix(b.m.disks[0].path, ".avhdx") {
		t.Errorf("%d checkpoints, disk %s", len(b.m.checkpoints), b.m.disks[0].path)
	}
}

// A request with a field too few or too many, or a null, is refused, and so is a script
// that is not known.
func TestStrict(t *testing.T) {
	h := New(Options{})
	var list powershell.Script
	for name, request := range map[string]string{
		"good":       `{"Marks":[],"Folders":[],"Others":true}`,
		"missing":    `{"Marks":[],"Folders":[]}`,
		"unknown":    `{"Marks":[],"Folders":[],"Others":true,"More":1}`,
		"other case": `{"marks":[],"Folders":[],"Others":true}`,
		"null":       `{"Marks":null,"Folders":[],"Others":true}`,
		"kind":       `{"Marks":[1],"Folders":[],"Others":true}`,
		"no object":  `[]`,
	} {
		list = script(t, "list")
		_, err := h.Run(t.Context(), list, []byte(request))
		if (err == nil) != (name == "good") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	list.Text += " "
	if _, err := h.Run(t.Context(), list, []byte(`{"Marks":[],"Folders":[],"Others":true}`)); err == nil {
		t.Error("a changed script is run")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Run(ended, script(t, "list"), []byte(`{"Marks":[],"Folders":[],"Others":true}`)); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
}

// The envelope that winrmsim frames.
func TestScripts(t *testing.T) {
	h := New(Options{})
	for request, ok := range map[string]bool{`{"Lock":"D:\\x.lock","VmId":"none","Name":"x"}`: false, `{"Storage":""}`: true} {
		name := map[bool]string{true: "host", false: "checkpoint"}[ok]
		answer, exit := h.Scripts(t.Context(), script(t, name).Text, []byte(request))
		var got struct{ OK bool }
		if err := json.Unmarshal(answer, &got); err != nil || exit != 0 || got.OK != ok {
			t.Errorf("%s: %s, exit %d, %v", name, answer, exit, err)
		}
	}
	if answer, exit := h.Scripts(t.Context(), "Get-VM", []byte("{}")); answer != nil || exit == 0 {
		t.Errorf("an unknown script answers %s, exit %d", answer, exit)
	}
}

// The model reads the VHDX files that qemu-img makes.
func TestParse(t *testing.T) {
	drivertest.NeedQemuImg(t)
	path := filepath.Join(t.TempDir(), "disk.vhdx")
	if out, err := exec.Command("qemu-img", "create", "-f", "vhdx", "-o", "subformat=dynamic,block_size=1048576", path, "12M").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := parse(data)
	if err != nil || got.sizeBytes != 12<<20 || got.blockBytes != 1<<20 || got.hasParent || len(got.id) != 32 {
		t.Errorf("got %+v, %v", got, err)
	}
	for name, bad := range map[string][]byte{"empty": nil, "short": data[:1<<19], "other": make([]byte, 2<<20)} {
		if _, err := parse(bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("vhdxfile"), 0)
	f.Fuzz(func(_ *testing.T, patch []byte, at int) {
		data := make([]byte, 2<<20)
		copy(data, "vhdxfile")
		copy(data[regionAt:], "regi")
		if at >= 0 && at < len(data)-8 {
			copy(data[at:], patch)
		}
		_, _ = parse(data)
	})
}
