package facts

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"ingot/inventory"
)

// cpuFeatures are the flags worth keeping: what decides where a guest or a program can
// run. The kernel lists more than a hundred, mostly the same on all machines.
var cpuFeatures = []string{"aes", "amx_tile", "asimd", "atomics", "avx", "avx2", "avx512f", "hypervisor", "lm", "sev", "sev_es", "sev_snp", "sgx",
	"sha2", "sha_ni", "sse4_2", "sve", "sve2", "svm", "tdx_guest", "vmx"}

// processor is one hardware thread as /proc/cpuinfo shows it.
type processor struct {
	number       int
	vendor       string
	model        string
	pkg, core    string
	featureFlags []string
}

// cpus lists the sockets: what the kernel runs on, joined with the names and speeds of
// SMBIOS type 4. Without /proc/cpuinfo SMBIOS stands alone.
func (r *reading) cpus() []inventory.CPU {
	arch := r.architecture()
	var sockets []inventory.CPU
	for _, threads := range byPackage(r.processors()) {
		sockets = append(sockets, r.socket(arch, threads))
	}
	var named []record
	for _, rec := range r.smbios.all(smbiosProcessor) {
		// A central processor in a populated socket (DSP0134 7.5.1, 7.5.4).
		if rec.byteAt(5) == 3 && rec.byteAt(0x18)&0x40 != 0 {
			named = append(named, rec)
		}
	}
	if len(sockets) == 0 {
		for _, rec := range named {
			c := inventory.CPU{Architecture: arch, Cores: count(rec, 0x23, 0x2a), Threads: count(rec, 0x25, 0x2e)}
			describe(&c, rec)
			sockets = append(sockets, c)
		}
		if len(sockets) == 0 {
			r.note("CPU: neither /proc/cpuinfo nor SMBIOS names one")
		}
		return sockets
	}
	if len(named) != len(sockets) && len(named) > 0 {
		r.note("CPU: the kernel sees %d sockets, SMBIOS names %d", len(sockets), len(named))
	}
	for i := range min(len(sockets), len(named)) {
		describe(&sockets[i], named[i])
	}
	return sockets
}

// count reads a number of cores or threads; 255 sends to the 16-bit field (SMBIOS 3.0).
func count(rec record, off, wide int) int {
	if n := rec.byteAt(off); n != 0xff {
		return int(n)
	}
	return int(rec.word(wide))
}

// describe adds what SMBIOS knows and the kernel doesn't.
func describe(c *inventory.CPU, rec record) {
	c.Socket = rec.text(4)
	c.Vendor = cmp.Or(c.Vendor, rec.text(7))
	c.Model = cmp.Or(c.Model, rec.text(0x10))
	c.MaxMHz = cmp.Or(c.MaxMHz, int(rec.word(0x14)))
}

// processors parses /proc/cpuinfo, whose keys differ from one architecture to the next;
// the topology comes from sysfs where it is not in there.
func (r *reading) processors() []processor {
	var out []processor
	for block := range strings.SplitSeq(string(r.bytes("proc/cpuinfo")), "\n\n") {
		kv := map[string]string{}
		for line := range strings.Lines(block) {
			key, value, _ := strings.Cut(line, ":")
			kv[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
		n, err := strconv.Atoi(kv["processor"])
		if err != nil {
			continue
		}
		dir := fmt.Sprintf("sys/devices/system/cpu/cpu%d/topology", n)
		p := processor{number: n, vendor: cpuVendor(kv["vendor_id"]), model: clean(kv["model name"]), pkg: kv["physical id"], core: kv["core id"],
			featureFlags: strings.Fields(kv["flags"] + kv["Features"])}
		p.pkg = cmp.Or(p.pkg, r.text(dir, "physical_package_id"), "0")
		p.core = cmp.Or(p.core, r.text(dir, "core_id"), kv["processor"])
		out = append(out, p)
	}
	return out
}

func cpuVendor(id string) string {
	switch id {
	case "GenuineIntel":
		return "Intel"
	case "AuthenticAMD":
		return "AMD"
	case "HygonGenuine":
		return "Hygon"
	}
	return clean(id)
}

// byPackage groups threads by socket, in the order of the sockets' numbers.
func byPackage(ps []processor) [][]processor {
	groups := map[string][]processor{}
	for _, p := range ps {
		groups[p.pkg] = append(groups[p.pkg], p)
	}
	keys := slices.SortedFunc(maps.Keys(groups), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) // as numbers
	})
	var out [][]processor
	for _, k := range keys {
		out = append(out, groups[k])
	}
	return out
}

func (r *reading) socket(arch string, threads []processor) inventory.CPU {
	first := threads[0]
	cores := map[string]bool{}
	for _, p := range threads {
		cores[p.core] = true
	}
	kHz := r.number(fmt.Sprintf("sys/devices/system/cpu/cpu%d/cpufreq/cpuinfo_max_freq", first.number))
	c := inventory.CPU{Vendor: first.vendor, Model: first.model, Architecture: arch, Cores: len(cores), Threads: len(threads), MaxMHz: int(kHz / 1000)}
	for _, name := range cpuFeatures {
		if slices.Contains(first.featureFlags, name) {
			c.Features = append(c.Features, name)
		}
	}
	return c
}
