package boottest

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"ingot/images/guestrun"
	"ingot/images/master"
	"ingot/inventory"
	"ingot/inventory/seed"
)

// subject is the made-up machine that the image is deployed to.
type subject struct {
	machine *inventory.Machine
	sshKey  string
	seed    []byte
	// grown is the size that the grown partition must have at least; 0 for none.
	grown int64
}

func newSubject(o *Options, phoneHomeURL string) (*subject, error) {
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil, err
	}
	s := &subject{sshKey: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))}
	name := "boot-" + strings.ToLower(rand.Text()[:8])
	s.machine = &inventory.Machine{ID: name, Name: name}
	s.machine.Spec.Generation, s.machine.Spec.SSHKeys = 1, []string{s.sshKey}
	user, err := guestrun.UserData(nil)
	if err != nil {
		return nil, err
	}
	documents, err := seed.Make(seed.Input{Machine: s.machine, NICs: []inventory.NIC{{MAC: guestrun.GuestMAC(), Boot: true}}, UserData: user, PhoneHomeURL: phoneHomeURL})
	if err != nil {
		return nil, err
	}
	s.seed, err = seed.Pack(documents, o.sectorBytes())
	return s, err
}

func (o *Options) sectorBytes() int { return max(o.Image.LogicalSectorBytes, 512) }

// diskBytes is a disk that an image which does not grow leaves half empty.
func (o *Options) diskBytes() int64 {
	const mib = 1 << 20
	return (o.Image.SizeBytes+max(2<<30, o.Image.SizeBytes/2))/mib*mib + 64*mib
}

// deploy does to the overlay what the agent does to a disk behind the image: it grows
// the partition and adds the seed's. A disk without a GPT gets the seed as a second
// disk, as a virtual machine does, and grows its root itself.
func (s *subject) deploy(o *Options, disk *guestrun.Overlay, m *guestrun.Machine) error {
	table, err := master.ReadTable(disk, disk.SizeBytes, o.sectorBytes())
	if errors.As(err, new(*master.TableError)) {
		m.Seed = s.seed
		if o.GrowPartition != "" {
			s.grown = disk.SizeBytes - o.Image.SizeBytes
		}
		return nil
	}
	if err != nil {
		return err
	}
	if o.GrowPartition != "" {
		if err := table.Grow(o.GrowPartition, int64(len(s.seed))); err != nil {
			return err
		}
		for _, p := range table.Partitions {
			if p.Name == o.GrowPartition {
				s.grown = (p.LastLBA - p.FirstLBA + 1) * int64(table.SectorBytes)
			}
		}
	}
	partition, err := table.AddLast(master.TypeBasicData, master.NewGUID(master.DigestOf([]byte(s.machine.ID))), seed.Label, int64(len(s.seed)))
	if err != nil {
		return err
	}
	offset, _ := table.Offset(partition)
	if _, err := disk.WriteAt(s.seed, offset); err != nil {
		return fmt.Errorf("write seed: %w", err)
	}
	return table.Write(disk)
}

func (s *subject) instance() string { return seed.InstanceID(s.machine) }
