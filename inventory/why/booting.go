package why

import (
	"slices"
	"strings"
	"time"

	"ingot/inventory"
)

const (
	// kernelPatience is how long a kernel that was fetched may take to show its agent.
	kernelPatience = time.Minute
	// stepPatience is how long a boot may take from one step to the next.
	stepPatience = 15 * time.Second
)

// booting: the machine should boot; how far did the newest attempt get? Rules look from
// the far end back, so that the last thing reached is what is told.
func booting(ev Evidence, a *Answer) bool {
	return first(ev, a, firstBoot, awaited, rejectedLoader, agentRefused, kernelDark, cutFile, missingFile, noFollowUp, nothingOffered, dhcpTrouble, neverSeen)
}

// awaited: it is to boot the agent, and has not tried since; the boot before went well.
func awaited(ev Evidence, a *Answer) bool {
	s := ev.Machine.Status
	if !waiting(ev) || ev.open() || !ev.heard().Before(s.PhaseSince) {
		return false
	}
	well := "nothing is wrong so far: "
	if s.Error != nil {
		well = ""
	}
	a.say("%sit is to boot the agent since %s, and nothing was seen of it on the wire since", well, span(ev.Now.Sub(s.PhaseSince)))
	a.hint("switch it on and let it boot from the network")
	return true
}

// rejectedLoader: the firmware fetched a loader whole and did not run it, and no other
// one since.
func rejectedLoader(ev Evidence, a *Answer) bool {
	p, at, ok := last[inventory.BootRejected](ev.Events)
	if !ok || at.Before(ev.begun().Add(-stepPatience)) || len(ev.fetched(at)) > 0 {
		return false
	}
	a.say("firmware fetched %s and did not run it (%s)", p.File, ev.ago(at))
	switch {
	case p.Arch == archHTTPX64 || p.Arch == archHTTPEBC:
		a.say("HTTP boot with Secure Boot is not supported here: iPXE is unsigned, and the signed loaders don't run over HTTP boot")
		a.hint("put PXE before HTTP boot in the firmware's boot order, or switch Secure Boot off")
	case p.Next == inventory.ChainShim:
		a.say("that is what Secure Boot does to an unsigned loader; the next boot gets the signed one")
		a.hint("switch it off and on, so that it asks again")
	default:
		a.say("with Secure Boot on, the firmware must trust Microsoft's third-party CA (\"Microsoft UEFI CA\"), which some firmware has switched off; the next boot gets the %s chain", p.Next)
		a.hint("switch it off and on, so that it asks again")
	}
	return true
}

// UEFI HTTP boot's architectures of DHCP option 93 (RFC 4578, IANA).
const (
	archHTTPX64 = 16
	archHTTPEBC = 17
)

// agentRefused: an agent came up and was not let in.
func agentRefused(ev Evidence, a *Answer) bool {
	refused, ok := ev.saw(inventory.SawAgentRefused, ev.begun())
	if !ok {
		return false
	}
	a.say("its agent is up and was refused %s (last %s): %s", times(refused.Count), ev.ago(refused.Last), refused.Detail)
	return true
}

// kernelDark: kernel and first stage were fetched, and no agent came.
func kernelDark(ev Evidence, a *Answer) bool {
	files := ev.fetched(ev.begun())
	if !has(files, "vmlinuz") || !has(files, "initrd.img") {
		return false
	}
	at := files[len(files)-1].at
	ack, addressed := ev.saw(inventory.SawAck, at)
	switch {
	case ev.Now.Sub(at) < kernelPatience:
		a.say("nothing is wrong so far: the last file was fetched %s, and the kernel starts", ev.ago(at))
	case has(files, "modules.img"):
		a.say("the agent began to fetch its drivers (second stage) %s and was not heard since", ev.ago(at))
		a.hint("look at its console: the agent says there what it waits for")
	case addressed:
		a.say("kernel and first stage were fetched %s, the agent was given %s, and was not heard since", ev.ago(at), ack.Values.IP)
		a.hint("is TCP to this server blocked? Look at its console: the agent says there what it waits for")
	default:
		a.say("kernel and first stage were fetched %s, and no agent was heard since", ev.ago(at))
		a.say("either the kernel did not start, or it has no driver or no link on the NIC that it booted from")
		a.hint("look at its console for the kernel's last line")
	}
	return true
}

// cutFile: a transfer stopped in the middle, and was not repeated to its end.
func cutFile(ev Evidence, a *Answer) bool {
	stopped, ok := ev.saw(inventory.SawFileStopped, ev.begun())
	if !ok {
		return false
	}
	if _, wentOn := ev.saw(inventory.SawFileDone, stopped.Last); wentOn {
		return false
	}
	v := stopped.Values
	n := max(v.Streak, 1)
	protocol := strings.ToUpper(v.Protocol)
	switch {
	case v.TotalBytes == 0 && v.Error != "":
		a.say("%s of %s failed %s (last %s): %s", protocol, stopped.Detail, times(n), ev.ago(stopped.Last), v.Error)
		return true
	case v.Protocol == "tftp" && n == v.SameBlock:
		a.say("TFTP of %s stopped at block %d %s", stopped.Detail, v.Block, times(n))
	case v.Protocol == "tftp":
		a.say("TFTP of %s stopped %s, the last time at block %d", stopped.Detail, times(n), v.Block)
	default:
		a.say("%s of %s was cut %s", protocol, stopped.Detail, times(n))
	}
	a.say("the last time was %s, after %s of %s", ev.ago(stopped.Last), inventory.FormatBytes(v.Bytes), inventory.FormatBytes(v.TotalBytes))
	a.hint("packets are lost, or too large for a link on the way (MTU below 1500?); or the machine was switched off")
	return true
}

// missingFile: it asked for a file that is not served, and for nothing since.
func missingFile(ev Evidence, a *Answer) bool {
	missing, ok := ev.saw(inventory.SawFileNotFound, ev.begun())
	if !ok || optional(missing.Detail) {
		return false
	}
	if _, wentOn := ev.saw(inventory.SawFileDone, missing.Last); wentOn {
		return false
	}
	a.say("it asked %s for %s by %s, which is not served (last %s)", times(missing.Count), missing.Detail, strings.ToUpper(missing.Values.Protocol), ev.ago(missing.Last))
	if server, at, known := last[inventory.OtherDHCP](ev.Server); known {
		a.say("DHCP server %s answers as well (%s): the file name may be its", server.Server, ev.ago(at))
	}
	a.hint("another server's option 67 or a stale setting in the firmware names that file; remove it")
	return true
}

// optional reports whether loaders ask for a file without needing it: shim for its list
// of revocations and its MOK manager, GRUB for modules, lists, fonts and configurations
// by address.
func optional(name string) bool {
	base := name[strings.LastIndexByte(name, '/')+1:]
	return strings.HasPrefix(name, "grub/") || strings.HasPrefix(base, "revocations") || strings.HasPrefix(base, "grub.cfg") ||
		slices.Contains([]string{"mmx64.efi", "fbx64.efi", "mmaa64.efi", "fbaa64.efi", "BOOTX64.CSV"}, base)
}

// follows says what each loader asks for next.
var follows = map[string]string{
	"shimx64.efi": "shim should fetch grubx64.efi next", "shimaa64.efi": "shim should fetch grubaa64.efi next",
	"grubx64.efi": "GRUB should fetch its configuration next", "grubaa64.efi": "GRUB should fetch its configuration next",
	"snponly.efi": "iPXE should ask DHCP again next", "ipxe.efi": "iPXE should ask DHCP again next", "undionly.kpxe": "iPXE should ask DHCP again next",
	"vmlinuz": "the loader should fetch initrd.img next",
}

// grubElsewhere: Debian's signed GRUB takes its server from the DHCP ACK, so beside
// another DHCP server it asks that one for its configuration, for ever.
func grubElsewhere(ev Evidence, file string, a *Answer) {
	other, _, heard := last[inventory.OtherDHCP](ev.Server)
	if !heard || !strings.HasPrefix(file, "grub") {
		return
	}
	a.say("GRUB asks DHCP server %s for it, since that server gave the address", other.Server)
	a.hint("set next-server (siaddr) of %s to this host, or switch Secure Boot off, so that iPXE can be used", other.Server)
}

// noFollowUp: a file was fetched, and nothing came after it.
func noFollowUp(ev Evidence, a *Answer) bool {
	files := ev.fetched(ev.begun())
	if len(files) == 0 {
		return false
	}
	f := files[len(files)-1]
	if discover, asked := ev.saw(inventory.SawDiscover, f.at); asked && discover.Last.After(f.at) {
		return false
	}
	if ev.Now.Sub(f.at) < stepPatience {
		a.say("nothing is wrong so far: %s was fetched by %s %s", f.File, strings.ToUpper(f.Protocol), ev.ago(f.at))
		return true
	}
	a.say("%s was fetched by %s %s, and nothing was asked for after it", f.File, strings.ToUpper(f.Protocol), ev.ago(f.at))
	if next, known := follows[f.File]; known {
		a.say("%s", next)
	}
	grubElsewhere(ev, f.File, a)
	a.hint("look at its console: the loader says there why it stopped")
	return true
}

// nothingOffered: it asked to boot, and there is no file for it.
func nothingOffered(ev Evidence, a *Answer) bool {
	p, at, ok := last[inventory.BootStarted](ev.Events)
	if ok && ev.open() && p.Nothing != "" {
		a.say("it asked to boot %s as %s (architecture %d) and was offered nothing: %s", ev.ago(at), p.Client, p.Arch, p.Nothing)
		return true
	}
	discover, asked := ev.saw(inventory.SawDiscover, time.Time{})
	if !asked || ev.Machine.ID != "" {
		return false
	}
	// A client that is no machine has sightings alone: the note of an offer, or of a
	// silence where another server gives the addresses.
	reason := ""
	if offer, offered := ev.saw(inventory.SawOffer, discover.Last); offered {
		reason = offer.Values.Error
	}
	if reason == "" {
		return false
	}
	a.say("it asked to boot %s%s (%s) and was offered nothing: %s", times(max(discover.Values.Streak, 1)), arch(discover), ev.ago(discover.Last), reason)
	return true
}
