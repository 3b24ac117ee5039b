package netboot

import (
	"net/netip"

	"ingot/inventory"
)

// Client is who asks to boot, as the DHCP request tells it.
type Client struct {
	MAC inventory.MAC
	// UUID is option 97 in text form, empty when the client sent none.
	UUID string
	Arch int
	// HTTP is set for UEFI HTTP boot (class HTTPClient), IPXE for iPXE asking itself.
	HTTP, IPXE bool
	// Proxy: another server gives the addresses.
	Proxy   bool
	Network string
	Relay   netip.Addr
	// Server is the address under which the client reaches us.
	Server netip.Addr
}

// Offer is what the client is given. Exactly one of File, URL and Nothing is set.
type Offer struct {
	// File is a TFTP name; URL is for HTTP boot and for iPXE.
	File, URL string
	// Nothing says why there is no offer.
	Nothing string
	Chain   inventory.BootChain
}

// loaders are the files of the closed boot set by chain.
var loaders = map[inventory.BootChain]string{
	inventory.ChainShim:     "shimx64.efi",
	inventory.ChainSNP:      "snponly.efi",
	inventory.ChainIPXE:     "ipxe.efi",
	inventory.ChainUndionly: "undionly.kpxe",
}

// Boot decides the first file for a client.
func (t *Table) Boot(c Client) Offer {
	e := t.lookup(c.MAC, c.UUID)
	if e != nil && e.answer == inventory.BootNone {
		return Offer{Nothing: e.why}
	}
	if e == nil && !t.cfg.Discover {
		return Offer{Nothing: "machine is unknown and discovery is off"}
	}
	if t.forced(c, e) == inventory.ChainNone {
		return Offer{Nothing: "its boot chain is set to none"}
	}
	if c.IPXE {
		return Offer{URL: t.url(c, "script.ipxe"), Chain: inventory.ChainIPXE}
	}
	return t.firmware(c, e)
}

// firmware chooses for a client that has no loader yet.
func (t *Table) firmware(c Client, e *entry) Offer {
	switch c.Arch {
	case ArchBIOS:
		return t.file(c, inventory.ChainUndionly, loaders[inventory.ChainUndionly])
	case ArchEFIBC, ArchEFIX64:
		return t.uefi(c, e)
	case ArchEFIARM64:
		return t.file(c, inventory.ChainShim, "shimaa64.efi")
	case ArchHTTPX64, ArchHTTPEBC:
		chain := t.pickHTTP(c, e)
		return Offer{URL: t.url(c, loaders[chain]), Chain: chain}
	}
	return Offer{Nothing: "no boot files for " + ArchName(c.Arch) + " clients"}
}

// uefi: an unknown machine, one with Secure Boot on, and one that is to boot its disk
// (the signed GRUB can read it, iPXE can't) get shim; the others the faster iPXE.
//
// Beside another DHCP server it is iPXE first: the signed GRUB asks the server of the
// DHCP ACK, and not the one of the ProxyDHCP answer, for its configuration, and hangs.
func (t *Table) uefi(c Client, e *entry) Offer {
	secure := e != nil && e.secureBoot == inventory.SecureBootOn
	chain := inventory.ChainShim
	switch {
	case c.Proxy && e != nil && e.answer == inventory.BootDisk:
		return Offer{Nothing: "it is to boot its disk, and beside another DHCP server only silence sends UEFI there"}
	case c.Proxy && !secure, e != nil && e.secureBoot == inventory.SecureBootOff && e.answer == inventory.BootAgent:
		chain = inventory.ChainSNP
	}
	if t.rejected(c.MAC, c.Arch, loaders[chain]) {
		chain = other(c.Arch, chain)
	}
	if forced := t.forced(c, e); forced != inventory.ChainAuto {
		chain = forced
	}
	return t.file(c, chain, loaders[chain])
}

func (t *Table) pickHTTP(c Client, e *entry) inventory.BootChain {
	chain := inventory.ChainSNP
	if t.rejected(c.MAC, c.Arch, loaders[chain]) {
		chain = inventory.ChainIPXE
	}
	if f := t.forced(c, e); f == inventory.ChainIPXE || f == inventory.ChainSNP {
		chain = f
	}
	return chain
}

// other is the chain to try when the firmware refused one. HTTP boot has iPXE alone, in
// two builds.
func other(arch int, chain inventory.BootChain) inventory.BootChain {
	isHTTP := arch == ArchHTTPX64 || arch == ArchHTTPEBC
	switch {
	case chain == inventory.ChainShim:
		return inventory.ChainSNP
	case isHTTP && chain == inventory.ChainIPXE:
		return inventory.ChainSNP
	case isHTTP:
		return inventory.ChainIPXE
	}
	return inventory.ChainShim
}

func (t *Table) forced(c Client, e *entry) inventory.BootChain {
	if e != nil && e.chain != inventory.ChainAuto {
		return e.chain
	}
	return t.networkChain(c.Network)
}

func (t *Table) file(c Client, chain inventory.BootChain, name string) Offer {
	return Offer{File: c.MAC.Hyphened() + "/" + name, Chain: chain}
}

func (t *Table) url(c Client, name string) string {
	return t.HTTPBase(c.Server) + "/boot/" + c.MAC.Hyphened() + "/" + name
}
