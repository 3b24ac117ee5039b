package netboot

import (
	"context"
	"strings"

	"ingot/inventory"
)

// optional reports files that shim (revocation lists, certificates) and GRUB (command
// lists, fonts, its configuration by address) ask for on the chance that they are there.
func optional(name string) bool {
	base := lastPart(name)
	for _, prefix := range []string{"revocations", "shim_certificate", "grub.cfg-"} {
		if strings.HasPrefix(base, prefix) {
			return true
		}
	}
	return strings.HasPrefix(name, "grub/x86_64-efi/") || strings.HasPrefix(name, "grub/arm64-efi/") || strings.HasSuffix(base, ".lst")
}

func lastPart(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// fileEnded records a transfer and makes a machine of a client that nobody knew.
func (r *Recorder) fileEnded(ctx context.Context, f FileSeen) error {
	mac := r.whose(f)
	if mac == "" || (f.Outcome == inventory.FileNotFound && optional(f.File)) {
		return nil
	}
	r.count(fileSighting(mac, f))
	a := r.attempts[mac]
	if a == nil {
		r.bound()
		a = &attempt{id: newAttemptID(), file: f.File, last: f.At, files: map[string]inventory.FileOutcome{}, told: true}
		r.attempts[mac] = a
	}
	a.last = f.At
	if f.File != a.file {
		a.followed = true
	} else if f.Outcome == inventory.FileDone {
		a.whole = true
	}
	if f.Outcome == inventory.FileProbe || a.files[f.File] == f.Outcome {
		return nil
	}
	if len(a.files) >= maxFiles {
		return nil
	}
	a.files[f.File] = f.Outcome
	if err := r.discovered(ctx, mac, a); err != nil {
		return err
	}
	f.Attempt = a.id
	return r.tell(ctx, mac, f.BootFile)
}

// whose finds the client of a transfer: by path, by the last path from that address,
// or by the neighbour table.
func (r *Recorder) whose(f FileSeen) inventory.MAC {
	if f.MAC != "" {
		if len(r.byIP) > maxAttempts {
			clear(r.byIP)
		}
		r.byIP[f.Client] = f.MAC
		return f.MAC
	}
	if r.Neighbour != nil {
		if mac, ok := r.Neighbour(f.Client); ok {
			return mac
		}
	}
	return r.byIP[f.Client]
}

func fileSighting(mac inventory.MAC, f FileSeen) *inventory.Sighting {
	kinds := map[inventory.FileOutcome]inventory.SightingKind{inventory.FileDone: inventory.SawFileDone, inventory.FileStopped: inventory.SawFileStopped,
		inventory.FileNotFound: inventory.SawFileNotFound, inventory.FileProbe: inventory.SawFileProbe}
	return &inventory.Sighting{MAC: mac, Kind: kinds[f.Outcome], Detail: f.File, Count: 1, First: f.At, Last: f.At,
		Values: inventory.SightingValues{Protocol: f.Protocol, Block: f.Block, Bytes: f.Bytes, TotalBytes: f.TotalBytes, Error: f.Error, IP: f.Client.String()}}
}
