package qemu

import "strconv"

// bootIndexes gives each device its `bootindex` property. The zero value gives
// none: the firmware then keeps the order in its own variables.
type bootIndexes struct {
	nics, disks, medias int
	cards               []NIC
}

// bootIndexes returns the order QEMU tells the firmware at every reset. UEFI
// machines are told nothing unless the order is fixed, since OVMF would undo at
// each reset what the guest wrote into BootOrder. Media first is fixed always: it
// is what a person does in the firmware's boot menu.
func (c Config) bootIndexes() bootIndexes {
	if c.Firmware.UEFI() && !c.FixedBoot && c.Boot != BootMedia {
		return bootIndexes{}
	}
	b := bootIndexes{nics: 100, disks: 200, medias: 300, cards: c.NICs}
	switch c.Boot {
	case BootDisk:
		b.disks, b.nics = 100, 200
	case BootMedia:
		b.medias, b.disks, b.nics = 100, 200, 300
	}
	return b
}

func (b bootIndexes) disk(i int) string { return b.property(b.disks, i) }
func (b bootIndexes) media() string     { return b.property(b.medias, 0) }

func (b bootIndexes) nic(i int) string {
	if b.nics == 0 || b.cards[i].BootIndex < 0 {
		return ""
	}
	return b.property(b.nics, b.cards[i].place(i))
}

func (b bootIndexes) property(group, i int) string {
	if group == 0 {
		return ""
	}
	return ",bootindex=" + strconv.Itoa(group+i)
}

// place is where the card stands among the network cards, from 1.
func (n NIC) place(i int) int {
	if n.BootIndex == 0 {
		return i + 1
	}
	return n.BootIndex
}
