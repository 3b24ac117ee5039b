#!/bin/sh
# The guest's end of Ingot's channel: takes scripts from a virtio-serial port, runs
# them, sends back their status and output. See the package comment of guestrun.
name=org.ingot.run.0
port=/dev/virtio-ports/$name
dir=/run/ingot-run
beat=10
say() { { echo "ingot-run: $*" > /dev/console; } 2>/dev/null; }

find_port() {
  [ -c "$port" ] && return 0
  for p in /sys/class/virtio-ports/*; do
    [ "$(cat "$p/name" 2>/dev/null)" = "$name" ] && [ -c "/dev/${p##*/}" ] && port=/dev/${p##*/} && return 0
  done
  return 1
}
modprobe virtio_console 2>/dev/null
tries=0
until find_port; do
  tries=$((tries + 1))
  [ "$tries" -gt 120 ] && { say "no channel: no port $name in this system"; exit 0; }
  sleep 0.5
done
(: <>"$port") 2>/dev/null || { say "no channel: $port does not open"; exit 0; }
mkdir -p "$dir" && chmod 700 "$dir"
exec 3<>"$port"
say "channel open"
echo "hello 1" >&3

# body: the lines up to a single dot.
body() { while IFS= read -r line <&3 && [ "$line" != . ]; do printf '%s\n' "$line"; done; }

run() { # ID SECONDS BYTES
  d=$dir/$1
  mkdir "$d" && body | base64 -d > "$d/script" && mkfifo "$d/pipe"
  # The file may have a block more than what is sent, to see that there was more. What
  # comes after is taken and dropped: the script must not get a SIGPIPE.
  { (ulimit -f $(($3 / 512 + 1)); exec cat > "$d/out") 2>/dev/null; cat > /dev/null; : > "$d/read"; } < "$d/pipe" 3>&- &
  { while sleep $beat; do echo "alive $1" >&3; done; } >/dev/null 2>&1 </dev/null &
  alive=$!
  INGOT_DIR=$d timeout -k 10 "$2" /bin/sh "$d/script" > "$d/pipe" 2>&1 < /dev/null 3>&-
  status=$?
  kill $alive 2>/dev/null
  wait $alive 2>/dev/null
  # A daemon that the script started may keep the output open.
  n=0
  until [ -e "$d/read" ] || [ $n -ge 20 ]; do sleep 0.1; n=$((n + 1)); done
  size=$(wc -c < "$d/out")
  { echo "done $1 $status $((size > $3 ? size - $3 : 0))"; head -c "$3" "$d/out" | base64; echo "end $1"; } >&3
  rm -rf "$d"
}

off() {
  sync
  systemctl --no-block poweroff 2>/dev/null || poweroff 2>/dev/null || poweroff -f
}

while read -r verb id seconds bytes <&3; do
  case $verb in
    run) run "$id" "$seconds" "$bytes" ;;
    off) off ;;
  esac
done
