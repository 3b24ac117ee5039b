#!/bin/sh
# Overwrites the user data in the seed after it was read; meta-data stays as it is.
set -eu
dev=/dev/disk/by-label/CIDATA
[ -b "$dev" ] || exit 0
# A VM's seed may be a disk that its host lets nobody write.
[ "$(blockdev --getro "$dev")" = 0 ] || exit 0
dir=$(mktemp -d)
trap 'umount "$dir" 2>/dev/null || true; rmdir "$dir"' EXIT
mount -t vfat -o rw "$dev" "$dir"
file=$dir/user-data
size=$(stat -c %s "$file")
dd if=/dev/zero of="$file" bs="$size" count=1 conv=notrunc,fsync 2>/dev/null
printf '#cloud-config\n{}\n' > "$file"
sync
