package why

import (
	"fmt"
	"time"

	"ingot/inventory"
)

// kernelPatience is how long a kernel that was fetched may take to show its agent.
const kernelPatience = 90 * time.Second

// booting: the machine should boot; how far did the newest attempt get? Rules look from
// the far end back, so that the last thing reached is what is told.
func booting(ev Evidence, a *Answer) bool {
	for _, r := range []rule{rejectedLoader, toldDisk, kernelDark, cutFile, missingFile, noFollowUp, nothingOffered, dhcpTrouble, neverSeen} {
		if r(ev, a) {
			return true
		}
	}
	return false
}

// files of the newest attempt.
func (ev Evidence) files() []inventory.BootFile {
	return since[inventory.BootFile](ev.Events, ev.boot())
}

func fetched(files []inventory.BootFile, name string) bool {
	for _, f := range files {
		if f.File == name && f.Outcome == inventory.FileDone {
			return true
		}
	}
	return false
}

// rejectedLoader: the firmware fetched a loader whole and did not run it.
func rejectedLoader(ev Evidence, a *Answer) bool {
	p, at, ok := last[inventory.BootRejected](ev.Events)
	if !ok || at.Before(ev.boot().Add(-time.Minute)) {
		return false
	}
	a.say(p.String())
	if p.File == "snponly.efi" || p.File == "ipxe.efi" {
		a.say("that is what Secure Boot does to an unsigned loader; the next boot gets the signed one")
		if arch := httpArch(ev); arch {
			a.say("HTTP boot with Secure Boot is not supported here: iPXE is unsigned, and the signed loaders don't run over HTTP boot")
			a.hint("put PXE before HTTP boot in the firmware's boot order, or switch Secure Boot off")
		}
	} else {
		a.say("with Secure Boot on, the firmware must trust Microsoft's third-party CA (\"Microsoft UEFI CA\"), which some firmware has switched off")
	}
	a.hint("switch it off and on, so that it asks again")
	return true
}

func httpArch(ev Evidence) bool {
	p, _, ok := last[inventory.BootStarted](ev.Events)
	return ok && (p.Arch == 16 || p.Arch == 17)
}

// toldDisk: it asked the network and was sent to its disk, again and again.
func toldDisk(ev Evidence, a *Answer) bool {
	if ev.Machine.Status.Phase != inventory.PhaseFirstBoot {
		return false
	}
	scripts := since[inventory.BootScript](ev.Events, ev.Machine.Status.PhaseSince)
	overdue := ev.Machine.Status.Error != nil
	switch {
	case len(scripts) > 1:
		a.say(fmt.Sprintf("the image is written, and since then it asked the network %s and was sent to its disk: the disk does not boot", times(int64(len(scripts)))))
		a.hint("look at its console; does the image boot by this firmware, and is the disk that was written the one that it boots?")
	case overdue && len(scripts) == 0:
		a.say("the image is written; since then nothing was seen of it on the wire, and no phone-home came")
		a.hint("look at its console: does it boot its disk, and does the installed system get an address?")
	case overdue:
		a.say("the image is written and it was sent to its disk; no phone-home came")
		a.hint("look at its console: does cloud-init run, and can it reach this server?")
	default:
		a.say(fmt.Sprintf("nothing is wrong so far: the installed system boots since %s and has not phoned home", ev.ago(ev.Machine.Status.PhaseSince)))
	}
	return true
}

// kernelDark: kernel and first stage were fetched, and no agent came.
func kernelDark(ev Evidence, a *Answer) bool {
	files := ev.files()
	if !fetched(files, "vmlinuz") || !fetched(files, "initrd.img") {
		return false
	}
	at := ev.lastFile()
	if refused, n := ev.saw(inventory.SawAgentRefused); n > 0 && refused.Last.After(at) {
		a.say(fmt.Sprintf("its agent is up and was refused %s (%s): %s", times(n), ev.ago(refused.Last), refused.Detail))
		return true
	}
	switch {
	case ev.Now.Sub(at) < kernelPatience:
		a.say(fmt.Sprintf("nothing is wrong so far: the last file was fetched %s, and the kernel starts", ev.ago(at)))
	case fetched(files, "modules.img"):
		a.say(fmt.Sprintf("the agent fetched its second stage %s and was not heard since", ev.ago(at)))
		a.hint("look at its console: the agent says there what it waits for")
	default:
		a.say(fmt.Sprintf("kernel and first stage were fetched %s, and no agent was heard since", ev.ago(at)))
		a.say("either the kernel did not start, or it has no driver or no link on the NIC that it booted from")
		a.hint("look at its console for the kernel's last line")
	}
	return true
}

func (ev Evidence) lastFile() time.Time {
	_, at, _ := last[inventory.BootFile](ev.Events)
	return at
}

// cutFile: a transfer stopped in the middle.
func cutFile(ev Evidence, a *Answer) bool {
	stopped, n := ev.saw(inventory.SawFileStopped)
	if n == 0 || stopped.Last.Before(ev.boot()) || fetched(ev.files(), stopped.Detail) {
		return false
	}
	v := stopped.Values
	if v.Protocol == "tftp" {
		a.say(fmt.Sprintf("TFTP of %s stopped at block %d %s, %s: %s of %s were acknowledged", stopped.Detail, v.Block, times(stopped.Count),
			ev.ago(stopped.Last), inventory.FormatBytes(v.Bytes), inventory.FormatBytes(v.TotalBytes)))
		a.hint("packets are lost, or too large for a link on the way (MTU below 1500?)")
		return true
	}
	a.say(fmt.Sprintf("HTTP of %s was cut %s, %s: %s of %s were sent", stopped.Detail, times(stopped.Count), ev.ago(stopped.Last),
		inventory.FormatBytes(v.Bytes), inventory.FormatBytes(v.TotalBytes)))
	a.hint("look at the machine's console, and at the link between")
	return true
}

// missingFile: it asked for a file that is not served.
func missingFile(ev Evidence, a *Answer) bool {
	missing, n := ev.saw(inventory.SawFileNotFound)
	if n == 0 || missing.Last.Before(ev.boot()) {
		return false
	}
	a.say(fmt.Sprintf("it asked %s for %s by %s, which is not served", times(missing.Count), missing.Detail, missing.Values.Protocol))
	if server, at, ok := last[inventory.OtherDHCP](ev.Server); ok {
		a.say(fmt.Sprintf("DHCP server %s answers as well (%s): the file name may be its", server.Server, ev.ago(at)))
	}
	a.hint("another server's option 67 or a stale setting in the firmware names that file; remove it")
	return true
}

// noFollowUp: a loader was fetched, and nothing after it.
func noFollowUp(ev Evidence, a *Answer) bool {
	files := ev.files()
	if len(files) == 0 {
		return false
	}
	f := files[len(files)-1]
	if f.Outcome != inventory.FileDone {
		return false
	}
	a.say(fmt.Sprintf("%s was fetched by %s %s, and nothing was asked for after it", f.File, f.Protocol, ev.ago(ev.lastFile())))
	switch f.File {
	case "shimx64.efi":
		a.say("shim ran or was refused: it should fetch grubx64.efi next")
	case "grubx64.efi":
		a.say("GRUB should fetch its configuration next")
	case "snponly.efi", "ipxe.efi", "undionly.kpxe":
		a.say("iPXE should ask DHCP again next")
	}
	a.hint("look at its console: the loader says there why it stopped")
	return true
}

// nothingOffered: it asked, and there is no file for it.
func nothingOffered(ev Evidence, a *Answer) bool {
	p, at, ok := last[inventory.BootStarted](ev.Events)
	if !ok || p.Nothing == "" {
		return false
	}
	a.say(fmt.Sprintf("it asked to boot %s as %s (architecture %d) and was offered nothing: %s", ev.ago(at), p.Client, p.Arch, p.Nothing))
	return true
}
