package netboot

import (
	"ingot/inventory"
)

type refusal struct {
	mac  inventory.MAC
	arch int
	file string
}

func (t *Table) rejected(mac inventory.MAC, arch int, file string) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.refused[refusal{mac, arch, file}]
}

// reject remembers that a firmware fetched a file whole and did not run it. Both files
// of a pair refused means that neither is to blame: both are forgotten.
func (t *Table) reject(mac inventory.MAC, arch int, chain inventory.BootChain) (next inventory.BootChain) {
	t.mu.Lock()
	defer t.mu.Unlock()
	next = other(arch, chain)
	if t.refused[refusal{mac, arch, loaders[next]}] {
		delete(t.refused, refusal{mac, arch, loaders[next]})
	}
	t.refused[refusal{mac, arch, loaders[chain]}] = true
	return next
}
