#!/bin/sh
# image-folder.sh FOLDER: the files of the image of deploy/Dockerfile as a folder, made without a
# container engine: Debian by debootstrap (kept in ~/.cache/podrouter/debian for the next time),
# Node.js from its npm package, the bundle. For tests on machines that have no engine.
set -eu
folder=${1:?the folder to make}
case $folder in -*) echo "usage: scripts/image-folder.sh FOLDER" >&2; exit 2 ;; esac
root=$(CDPATH='' cd -- "$(dirname "$0")/.." && pwd -P)
base=${XDG_CACHE_HOME:-$HOME/.cache}/podrouter/debian

if [ ! -e "$base/etc/debian_version" ]; then
  command -v debootstrap >/dev/null || { echo "debootstrap is missing" >&2; exit 1; }
  # The archive that this machine's own apt uses.
  mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep '/debian/\?$' | head -n 1)
  rm -rf "$base"
  mkdir -p "$base"
  debootstrap --variant=minbase --include=iptables,containernetworking-plugins,libstdc++6 \
    bookworm "$base.new" "$mirror" >"$base.log" 2>&1 || { tail -n 5 "$base.log" >&2; exit 1; }
  rm -rf "$base.new/var/cache/apt/archives" "$base.new/var/lib/apt/lists" "$base"
  mv "$base.new" "$base"
fi

mkdir -p "$folder"
cp -a "$base/." "$folder/"
mkdir -p "$folder/opt/podrouter/bin" "$folder/usr/local/bin"
"$root/node_modules/node/bin/node" "$root/scripts/bundle.ts" --out "$folder/opt/podrouter/dist"
for file in "$root"/bin/*; do cp "$file" "$folder/opt/podrouter/bin/"; done
cp -L "$root/node_modules/node/bin/node" "$folder/usr/local/bin/node"
# As in the Dockerfile.
"$root/node_modules/node/bin/node" "$root/scripts/code-cache.ts" "$folder/opt/podrouter/dist" \
  --max-semi-space-size=1 --initial-old-space-size=32
