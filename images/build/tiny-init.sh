#!/bin/busybox sh
# PID 1 of the tiny image: finds the seed, takes an address, phones home.
bb=/bin/busybox
$bb mkdir -p /proc /sys /dev /run /mnt /etc
$bb mount -t proc proc /proc
$bb mount -t sysfs sys /sys
$bb mount -t devtmpfs dev /dev
$bb --install -s /bin
export PATH=/bin
exec >/dev/console 2>&1 </dev/null

say() { echo "tiny: $*"; }

say "starting, kernel $(uname -r)"
for module in $(cat /etc/modules); do modprobe "$module" 2>/dev/null; done
coldplug() { find /sys/devices -name modalias 2>/dev/null | while read -r f; do modprobe "$(cat "$f")" 2>/dev/null; done; }
coldplug
coldplug

# The disk may take a while to appear.
seed=
for try in $(seq 60); do
  seed=$(findfs LABEL=CIDATA 2>/dev/null) && break
  sleep 0.5
done
if [ -n "$seed" ] && mount -o ro -t vfat "$seed" /mnt; then
  say "seed on $seed"
else
  say "no seed: no file system labelled CIDATA"
fi

# value FILE KEY: the first scalar of the key, without quotes.
value() { sed -n "s/^[[:space:]]*$2:[[:space:]]*//p" "$1" 2>/dev/null | head -n 1 | tr -d "\"'\r"; }
name=$(value /mnt/meta-data local-hostname)
instance=$(value /mnt/meta-data instance-id)
url=
for file in user-data vendor-data; do [ -n "$url" ] || url=$(value "/mnt/$file" url); done
hostname "${name:-tiny}"
say "hostname $(hostname)"

ip link set lo up
connect() {
  for dir in /sys/class/net/*; do
    nic=${dir##*/}
    [ "$nic" = lo ] && continue
    ip link set "$nic" up
    udhcpc -i "$nic" -n -q -t 4 -T 2 -x "hostname:$(hostname)" -s /etc/udhcpc.sh && return 0
  done
  return 1
}
until connect; do say "no address yet"; sleep 1; done
say "address $(ip -4 -o addr show scope global | awk '{print $4}' | tr '\n' ' ')"

if [ -n "$url" ]; then
  case $url in *'$INSTANCE_ID'*) url=${url%%'$INSTANCE_ID'*}$instance${url#*'$INSTANCE_ID'} ;; esac
  # Debian 12's busybox-static crashes in wget -q and wget -T.
  until timeout 15 wget -O /dev/null --post-data "instance_id=$instance&hostname=$(hostname)&fqdn=$(hostname)" "$url"; do
    say "phone-home failed, trying again"
    sleep 2
  done
  say "phoned home"
else
  say "no phone-home URL in the seed"
fi
umount /mnt 2>/dev/null
say "done"
acpid -f -c /etc/acpi -e /proc/acpi/event >/dev/null 2>&1 &
while :; do sleep 3600; done
