#!/bin/sh
# Makes the initramfs of each kernel that has none, by the kernel's own hooks, and the
# links to it. mmdebstrap runs this when all packages are installed; $1 is the root.
unset INITRD TMPDIR APT_CONFIG
export HOME=/root
exec chroot "$1" sh -ec '
  for kernel in /boot/vmlinuz-*; do
    version=${kernel#/boot/vmlinuz-}
    [ -e "$kernel" ] || continue
    if [ ! -e "/boot/initrd.img-$version" ] && [ -d /etc/kernel/postinst.d ]; then
      DEB_MAINT_PARAMS=configure run-parts --exit-on-error --arg="$version" --arg="$kernel" /etc/kernel/postinst.d
    fi
    if command -v linux-update-symlinks > /dev/null; then
      linux-update-symlinks upgrade "$version" "$kernel"
    fi
  done' < /dev/null >&2
