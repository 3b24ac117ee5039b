// Package dhcp answers DHCPv4 and PXE requests on networks where machines boot. It has
// two ways to do so, one for each network:
//
//   - authoritative: it gives addresses (RFC 2131) and boot files;
//   - proxy: another server gives the addresses, and it adds the boot file (PXE 2.1,
//     "ProxyDHCP"), on UDP 67 and on UDP 4011.
//
// It decides nothing. What a client boots comes from a Booter, which MACs belong to
// machines from Machines, where leases are kept from Leases; what was seen goes to an
// Observer. All of them are asked while a client waits, so they answer from memory,
// but for Leases.Commit, which makes leases durable before the ACK leaves: whatever
// waits when a commit ends goes together into the next one.
//
// A packet's way: Link (one interface, bound to it, so that it lives beside another
// DHCP server on the same host) → queue (known machines first) → request → network →
// authority.go or proxy.go → committer.go when a lease is to be written → Link.
//
// # Decisions
//
//   - No record means silence (RFC 2131 section 4.3.2) unless the network is marked as
//     sole authority. NAK goes only to an address outside the network, or held by
//     somebody else.
//   - One MAC is one client on a network, whatever client identifiers it shows: firmware,
//     iPXE and the installed system of one machine each send their own, and a lease for
//     each would need three addresses. A client identifier that comes back with another
//     MAC is the same client with another NIC (RFC 2131 section 4.2).
//   - Addresses are probed before they are offered, not while a client waits: see
//     stock.go. Only a DISCOVER that finds the stock empty waits for the round of probes
//     under way (a fifth of a second), and of those only a few hundred; the others are
//     repeated by their clients. Rounds of probes overlap, and nothing that works through
//     many addresses keeps the lock (2026-11-28: one round after the other ran dry at
//     17,000 leases a second, which was most of the slowest hundredth).
//   - A flood of unknown MACs holds at most half of the free addresses as offers, and
//     waits behind known machines in the queue.
//   - UEFI in proxy mode gets no option 43: several firmwares reject the offer that says
//     "skip discovery", and ask on port 4011 instead, where the ACK names the file.
package dhcp
