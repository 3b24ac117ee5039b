#!/bin/sh
# Starts libvirtd as the system's daemon in mount and process namespaces of its own
# (unshare --mount --pid --fork --kill-child --mount-proc), where the folders of the real
# one are hidden behind those below one folder. Being the first process there, it takes its
# guests and helpers with it when it ends; attached, it ends when its standard input does.
# Usage: system.sh FOLDER [attached]
set -e
for d in run/libvirt var/lib/libvirt etc/libvirt var/cache/libvirt var/log/libvirt; do
  mkdir -p /$d "$1/$d"
  mount --bind "$1/$d" /$d
done
# Debian's user for QEMU comes with a package that we don't need.
for f in passwd group; do
  { cat /etc/$f; [ $f = group ] && echo 'libvirt-qemu:x:64055:' || echo 'libvirt-qemu:x:64055:64055::/:/bin/false'; } > "$1/$f"
  mount --bind "$1/$f" /etc/$f
done
# As udev and that package would have it: where QEMU's user may not open /dev/kvm and root
# may, libvirt 9.0 asks QEMU for its capabilities anew at each call, 8 s long.
if [ -c /dev/kvm ]; then
  mknod -m 666 "$1/kvm" c 10 232
  mount --bind "$1/kvm" /dev/kvm
fi
ip link set lo up
virtlogd --pid-file "$1/virtlogd.pid" &
libvirtd --timeout 0 --pid-file "$1/libvirtd.pid" &
daemon=$!
trap 'kill $daemon' TERM
# The first process waits for its children all the time: libvirtd takes long over guests
# that ended and that nobody waited for.
if [ "${2:-}" = attached ]; then
  exec 3<&0
  (read -r _ <&3 || kill $daemon) &
fi
wait $daemon
