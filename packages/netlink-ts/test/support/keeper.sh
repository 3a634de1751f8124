#!/bin/sh
# Waits for the end of whoever has the other end of standard input, then removes what that one has
# left, known by the beginnings of paths: keeper.sh NAMESPACES FOLDERS
#
# Most of what runs in the namespaces dies with who started it, but not what became another user,
# nor children of children. It is ended twice: what was just being started comes in behind the first
# look, and an `ip netns add` may still be under way.

# It is the last to go when all are told to end.
trap '' HUP INT TERM
cat > /dev/null

each() {
  for path in "$namespaces"*; do
    if [ -e "$path" ]; then "$@" "${path##*/}"; fi
  done
}

end() {
  ip netns pids "$1" | xargs -r kill -KILL
}

namespaces=$1
each end
sleep 0.5
each end
each ip netns delete
rm -rf --one-file-system "$2"*
