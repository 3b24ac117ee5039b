# Makes an image of a system that has booted: nothing of this boot and of this machine
# may come with it. The lint of images looks for the same.
set -u
command -v cloud-init >/dev/null && cloud-init clean --logs --seed >/dev/null 2>&1
rm -rf /var/lib/cloud/* /etc/netplan/50-cloud-init.yaml /etc/network/interfaces.d/50-cloud-init* /etc/systemd/network/10-cloud-init-* \
  /etc/NetworkManager/system-connections/cloud-init-* /etc/sysconfig/network-scripts/ifcfg-eth0 /etc/udev/rules.d/70-persistent-net.rules \
  /etc/ssh/sshd_config.d/50-cloud-init.conf /etc/sudoers.d/90-cloud-init-users

# What is written again when a service stops is stopped first.
for unit in rsyslog.service systemd-random-seed.service systemd-update-utmp.service systemd-timesyncd.service unattended-upgrades.service cron.service; do
  systemctl stop $unit >/dev/null 2>&1
done
journalctl --relinquish-var >/dev/null 2>&1
rm -rf /var/log/journal/* /var/lib/systemd/random-seed /var/lib/systemd/timesync/* /var/lib/systemd/credential.secret
find /var/log -type f -delete 2>/dev/null
rm -rf /var/lib/dhcp/* /var/lib/dhclient/* /var/lib/NetworkManager/*lease* /var/lib/systemd/network/* /run/systemd/netif/leases/*
rm -f /etc/ssh/ssh_host_*

# Package caches and lists come from the archive again.
command -v apt-get >/dev/null && apt-get -q clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb /var/cache/dnf /var/cache/yum /var/cache/debconf/*-old /var/lib/dpkg/*-old
rm -rf /tmp/* /var/tmp/* /root/.bash_history /root/.cache /root/.ssh /home/*/.bash_history

# Empty, not missing: systemd then makes a new one at the first boot (machine-id(5)).
: > /etc/machine-id
[ -L /var/lib/dbus/machine-id ] || rm -f /var/lib/dbus/machine-id
umount /run/ingot-packages/repository 2>/dev/null
sync
fstrim -a 2>/dev/null
[ ! -s /etc/machine-id ]
