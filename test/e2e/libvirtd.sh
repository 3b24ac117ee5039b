#!/usr/bin/env bash
# Runs libvirt's system daemon below one folder: what it keeps, its sockets and its logs.
# In a mount namespace of its own (unshare --mount), so that nothing of a libvirt of this
# machine is seen or touched. Usage: libvirtd.sh FOLDER
set -euo pipefail
dir=$1
mkdir -p "$dir"/{etc,lib,run,cache,log}

# Guests run as root, without AppArmor and control groups, which a namespace can't have.
cat > "$dir/etc/qemu.conf" <<'CONF'
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
remember_owner = 0
stdio_handler = "file"
CONF
cat > "$dir/etc/libvirtd.conf" <<'CONF'
auth_unix_ro = "none"
auth_unix_rw = "none"
CONF

# Debian's build asks for this user even where another is configured; the package that
# makes it starts services.
cp /etc/passwd /etc/group "$dir/etc/"
echo 'libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin' >> "$dir/etc/passwd"
echo 'libvirt-qemu:x:64055:' >> "$dir/etc/group"
mount --bind "$dir/etc/passwd" /etc/passwd
mount --bind "$dir/etc/group" /etc/group

for pair in etc:/etc/libvirt lib:/var/lib/libvirt run:/run/libvirt cache:/var/cache/libvirt log:/var/log/libvirt; do
  mkdir -p "${pair#*:}"
  mount --bind "$dir/${pair%%:*}" "${pair#*:}"
done
exec libvirtd --timeout 0 --pid-file "$dir/run/libvirtd.pid"
