# Makes the disk with packages the only source of apt, for scripts with APT_CONFIG set.
set -eu
dir=/run/ingot-packages
command -v apt-get >/dev/null || { echo "this system has no apt-get"; exit 1; }
umask 022
mkdir -p $dir/repository $dir/lists/partial $dir/cache/archives/partial
n=0
until [ -b /dev/disk/by-label/INGOT-PKGS ]; do
  n=$((n + 1))
  [ $n -lt 60 ] || { echo "the disk with the packages is not there"; exit 1; }
  sleep 0.5
done
mount -t ext4 -o ro /dev/disk/by-label/INGOT-PKGS $dir/repository
echo "deb [trusted=yes] file:$dir/repository ./" > $dir/sources.list
cat > $dir/apt.conf <<END
Dir::Etc::SourceList "$dir/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State::Lists "$dir/lists";
Dir::Cache "$dir/cache";
Acquire::Languages "none";
APT::Get::Assume-Yes "true";
APT::Update::Error-Mode "any";
Dpkg::Options { "--force-confold"; };
END
apt-get -q update
