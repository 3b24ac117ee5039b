package lint

// checks are all, in the order in which they are told.
func checks(o Options) []check {
	all := []check{
		{"machine-id", machineID, "truncate -s 0 /etc/machine-id (and remove /var/lib/dbus/machine-id): two machines with the same one get the same address by DHCP"},
		{"SSH host keys", nothing("etc/ssh", "ssh_host_*", "host keys: every machine would have the same"), "rm /etc/ssh/ssh_host_*: cloud-init makes new ones"},
		{"DHCP state", noDHCPState, "rm the files: machines would ask for the address of the one it was built on"},
		{"persistent NIC names", noNICNames, "rm /etc/udev/rules.d/70-persistent-net.rules and the like: another machine has other MACs"},
		{"random seed", noRandomSeed, "rm /var/lib/systemd/random-seed: it must differ on each machine"},
		{"logs", noLogs, "empty /var/log: they are of the machine it was built on"},
		{"package caches", noPackageCaches, "apt-get clean; rm -rf /var/lib/apt/lists/* (dnf clean all)"},
		{"passwords", noPasswords, "passwd -l USER: a password that comes with an image is everybody's"},
		{"authorized keys", noAuthorizedKeys, "rm the file: keys come with the seed"},
		{"shell history", noHistory, "rm the file"},
		{"guest tools: KVM", tool("qemu-guest-agent", "usr/sbin/qemu-ga", "usr/bin/qemu-ga"), "install qemu-guest-agent"},
		{"guest tools: vSphere", tool("open-vm-tools", "usr/bin/vmtoolsd"), "install open-vm-tools"},
		{"guest tools: Hyper-V", tool("hyperv-daemons", "usr/sbin/hv_kvp_daemon", "usr/sbin/hypervkvpd"), "install hyperv-daemons"},
		{"kernel", serverKernel, "install linux-image-amd64: the cloud kernel has no drivers for server disks and network cards"},
		{"serial console", serialConsole, "put console=ttyS0,115200n8 on the kernel's command line: without it nobody sees why it does not boot"},
		{"root grows", grows, "install cloud-guest-utils (growpart): the root stays as small as the image"},
	}
	if o.UEFI {
		all = append(all, check{"EFI/BOOT/BOOTX64.EFI", fallbackLoader, "copy the signed shim to EFI/BOOT/BOOTX64.EFI on the EFI system partition: firmware that has never seen the disk starts that"})
	}
	if o.CloudInit {
		all = append(all,
			check{"cloud-init", cloudInit, "install cloud-init, or import with --first-boot none"},
			check{"cloud-init is clean", cloudInitClean, "cloud-init clean --logs --seed"})
	}
	return all
}
