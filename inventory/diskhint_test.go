package inventory

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func yes() *bool { b := true; return &b }
func no() *bool  { b := false; return &b }

func TestParseDiskHint(t *testing.T) {
	for in, want := range map[string]DiskHint{
		"":                                 {},
		" , ":                              {},
		"sda":                              {Name: "sda"},
		"/dev/nvme0n1":                     {Name: "nvme0n1"},
		"name=/dev/sdb":                    {Name: "sdb"},
		"size>=100G":                       {MinBytes: 100e9},
		"size<=1TiB":                       {MaxBytes: 1 << 40},
		"size=512MiB":                      {MinBytes: 512 << 20, MaxBytes: 512 << 20},
		"size>=1G,size<=2G":                {MinBytes: 1e9, MaxBytes: 2e9},
		"rotational=no":                    {Rotational: no()},
		"rotational=YES":                   {Rotational: yes()},
		"transport=nvme":                   {Transport: "nvme"},
		"model=Samsung SSD *":              {Model: "Samsung SSD *"},
		"serial=S4,wwn=0x50":               {Serial: "S4", WWN: "0x50"},
		" size >= 100G , pick = smallest ": {MinBytes: 100e9, Pick: "smallest"},
	} {
		got, err := ParseDiskHint(in)
		if err != nil {
			t.Errorf("ParseDiskHint(%q): %v", in, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("ParseDiskHint(%q) (-want +got):\n%s", in, d)
		}
	}
}

// TestDiskHintRefused: what is refused must name what was wrong, and never mean a wider
// choice than was asked for.
func TestDiskHintRefused(t *testing.T) {
	for in, want := range map[string]string{
		"seriel=S4":                  `disk hint key "seriel"`,
		"serial=":                    "serial",
		"model= ,pick=smallest":      "model",
		"name=/dev/":                 "name",
		"serial>=S4":                 "only size takes >=",
		"size>=":                     "size",
		"size>=lots":                 `size "lots"`,
		"size>=nan":                  `size "nan"`,
		"size<=0":                    "size",
		"size>=-1G":                  `size "-1G"`,
		"rotational=perhaps":         `rotational="perhaps"`,
		"pick=any":                   `pick="any"`,
		"sda,sdb":                    "name is given twice",
		"serial=A,serial=B":          "serial is given twice",
		"pick=largest,pick=smallest": "pick is given twice",
		"size>=1G,size>=2G":          "size>= is given twice",
		"the only disk":              "want key=value",
		"/dev/disk/by-id/ata-foo":    "disk/by-id/ata-foo",
	} {
		_, err := ParseDiskHint(in)
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseDiskHint(%q): %v, want ErrInvalid with %q", in, err, want)
		}
	}
}

func disks() []Disk {
	return []Disk{
		{Name: "sda", Model: "Seagate ST4000", Serial: "Z1", WWN: "0x5000c500a", SizeBytes: 4e12, Rotational: true, Transport: "sata"},
		{Name: "sdb", Model: "Seagate ST4000", Serial: "Z2", WWN: "0x5000c500b", SizeBytes: 4e12, Rotational: true, Transport: "sata"},
		{Name: "nvme0n1", Model: "Samsung SSD 980/PRO [1TB]", Serial: "S4", SizeBytes: 1e12, Transport: "nvme"},
		{Name: "sdc", Model: "USB Stick", Serial: "U1", SizeBytes: 8e9, Removable: true, Transport: "usb"},
		{Name: "sdd", Model: "Write protected", Serial: "W1", SizeBytes: 8e9, ReadOnly: true},
		{Name: "sde", Model: "Card reader", Serial: "C1"},
	}
}

func TestChooseDisk(t *testing.T) {
	for _, c := range []struct {
		hint, want string
		// problem is text of the error when there is no choice.
		problem string
	}{
		{hint: "nvme0n1", want: "nvme0n1"},
		{hint: "serial=z2", want: "sdb"},
		{hint: "wwn=0x5000c500a", want: "sda"},
		{hint: "rotational=no", want: "nvme0n1"},
		{hint: "transport=nvme,size>=500G", want: "nvme0n1"},
		{hint: "model=Samsung*", want: "nvme0n1"},
		{hint: "model=Samsung SSD 980/PRO [1TB]", want: "nvme0n1"},
		{hint: "model=*PRO*", want: "nvme0n1"},
		{hint: "name=sd?,serial=*1", want: "sda"},
		{hint: "pick=smallest", want: "nvme0n1"},
		{hint: "", problem: "3 disks fit the only disk"},
		{hint: "rotational=yes", problem: "2 disks fit"},
		{hint: "pick=largest", problem: "3 disks fit pick=largest"},
		{hint: "rotational=yes,pick=smallest", problem: "2 disks fit"},
		{hint: "serial=nope", problem: "no disk fits serial=nope; this machine has sda (4.00 TB"},
		{hint: "sdc", problem: "no disk fits"},
		{hint: "sdd", problem: "no disk fits"},
		{hint: "sde", problem: "no disk fits"},
		{hint: "size>=5T", problem: "no disk fits"},
		{hint: "model=[", problem: "no disk fits"},
		{hint: `model=\`, problem: "no disk fits"},
	} {
		t.Run(c.hint, func(t *testing.T) {
			h, err := ParseDiskHint(c.hint)
			if err != nil {
				t.Fatal(err)
			}
			got, err := h.Choose(disks())
			if got.Name != c.want {
				t.Errorf("Choose = %q, want %q", got.Name, c.want)
			}
			if c.problem != "" && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.problem)) {
				t.Errorf("Choose: %v, want %q", err, c.problem)
			}
			if c.problem == "" && err != nil {
				t.Error(err)
			}
		})
	}
}

func TestChooseWithoutDisks(t *testing.T) {
	if _, err := (DiskHint{}).Choose(nil); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "no disk") {
		t.Errorf("Choose of none: %v", err)
	}
	one := disks()[2:]
	if d, err := (DiskHint{}).Choose(one); err != nil || d.Name != "nvme0n1" {
		t.Errorf("Choose of the only one = %s, %v", d.Name, err)
	}
}

func TestParseBytes(t *testing.T) {
	for in, want := range map[string]int64{
		"0": 0, "512": 512, "512B": 512, "1k": 1000, "1KB": 1000, "1Ki": 1024, "1KiB": 1024, "100G": 100e9, "100 GB": 100e9,
		"1.5TiB": 3 << 39, "2P": 2e15, " 4 MiB ": 4 << 20,
		"": -1, "G": -1, "-1": -1, "nan": -1, "inf": -1, "1Q": -1, "1GG": -1, "8000P": -1, "1,5G": -1,
	} {
		got, err := ParseBytes(in)
		if want >= 0 && (err != nil || got != want) {
			t.Errorf("ParseBytes(%q) = %d, %v; want %d", in, got, err, want)
		}
		if want < 0 && !errors.Is(err, ErrInvalid) {
			t.Errorf("ParseBytes(%q) = %d, %v; want ErrInvalid", in, got, err)
		}
	}
}

func TestFormatBytes(t *testing.T) {
	for in, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.00 kB", 10737418240: "10.7 GB", 999_400: "999 kB", 999_950: "1.00 MB", 4e12: "4.00 TB",
		123_456_789: "123 MB", 99_949: "99.9 kB", 99_950: "100 kB", math.MaxInt64: "9223 PB",
	} {
		if got := FormatBytes(in); got != want {
			t.Errorf("FormatBytes(%d) = %q, want %q", in, got, want)
		}
	}
}

func FuzzParseDiskHint(f *testing.F) {
	for _, s := range []string{"", "sda", "size>=100G,rotational=no", "model=Samsung*,pick=smallest", "size>=nan", "name=/dev//dev/x", "=", ">=", "serial=a=b", "size=1,size<=2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, err := ParseDiskHint(s)
		if err != nil || h == (DiskHint{}) {
			return
		}
		if h.MinBytes < 0 || h.MaxBytes < 0 {
			t.Errorf("ParseDiskHint(%q) = %+v", s, h)
		}
		again, err := ParseDiskHint(h.String())
		if err != nil {
			t.Fatalf("ParseDiskHint(%q) of %q: %v", h, s, err)
		}
		if d := cmp.Diff(h, again); d != "" {
			t.Errorf("written form of %q (-want +got):\n%s", s, d)
		}
	})
}
