#!/bin/sh
# Makes the initramfs of each kernel that has none, by the kernel's own hooks, and the
# links to it. mmdebstrap runs this when all packages are installed; $1 is the root.
unset INITRD TMPDIR APT_CONFIG
exec chroot "$1" sh -ec '
  for kernel in /boot/vmlinuz-*; do
    version=${kernel#/boot/vmlinuz-}
    if [ ! -e "$kernel" ] || [ -e "/boot/initrd.img-$version" ]; then continue; fi
    DEB_MAINT_PARAMS=configure run-parts --exit-on-error --arg="$version" --arg="$kernel" /etc/kernel/postinst.d
    ! command -v linux-update-symlinks > /dev/null || linux-update-symlinks upgrade "$version" "$kernel"
  done' < /dev/null >&2
