#!/bin/busybox sh
# PID 1 of the initramfs that starts a container image: finds the root and hands over.
bb=/bin/busybox
$bb mkdir -p /proc /sys /dev /run /root
$bb mount -t proc proc /proc
$bb mount -t sysfs sys /sys
$bb mount -t devtmpfs dev /dev
$bb --install -s /bin
export PATH=/bin
exec >/dev/console 2>&1 </dev/null

for module in $(cat /etc/modules); do modprobe "$module" 2>/dev/null; done
coldplug() { find /sys/devices -name modalias 2>/dev/null | while read -r f; do modprobe "$(cat "$f")" 2>/dev/null; done; }
coldplug
coldplug

root= init=/sbin/init
for word in $(cat /proc/cmdline); do
  case $word in
    root=*) root=${word#root=} ;;
    init=*) init=${word#init=} ;;
  esac
done
# The disk may take a while to appear.
device=
for try in $(seq 120); do
  device=$(findfs "$root" 2>/dev/null) && break
  sleep 0.5
done
if [ -n "$device" ] && mount -t ext4 -o rw "$device" /root; then
  for dir in dev proc sys run; do mkdir -p "/root/$dir"; done
  mount --move /dev /root/dev
  umount /proc /sys
  exec switch_root /root "$init"
fi
echo "ingot: no root file system: $root"
while :; do sleep 3600; done
