#!/bin/sh
# Set-up of a checkout: Debian packages given as arguments (only those that are missing, and only
# when root and apt are there), then the npm packages of package-lock.json. Quick when all is done.
set -eu
cd "$(dirname "$0")/.."

# Told to end, it goes on to nothing else; but packages half installed help nobody: what installs them
# ends first, unless it was told so itself, as it is by Ctrl-C.
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

say() {
  if [ -t 1 ]; then printf '\033[2m[set-up]\033[0m %s\n' "$*"; else printf '[set-up] %s\n' "$*"; fi
}

missing=""
for package in "$@"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -n "$missing" ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "Debian packages:$missing"
    # The daemons are test peers in namespaces; none may start on the machine itself.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
      printf '#!/bin/sh\nexit 101\n' >"$policy"
      chmod +x "$policy"
      trap 'rm -f "$policy"' EXIT
    fi
    export DEBIAN_FRONTEND=noninteractive
    log=$(mktemp)
    install="apt-get install -y --no-install-recommends"
    # shellcheck disable=SC2086
    if ! { apt-get update && $install $missing; } >"$log" 2>&1; then
      # It is all or nothing to apt; one that this suite does not have shall not take the rest along.
      failed=""
      for package in $missing; do
        $install "$package" >>"$log" 2>&1 || failed="$failed $package"
      done
      missing=$failed
    else
      missing=""
    fi
    if [ -z "$missing" ]; then
      rm -f "$log"
    else
      tail -n 5 "$log"
      say "these could not be installed (log: $log), and what needs them says so:$missing"
    fi
  else
    say "not root or no apt: these Debian packages are missing, and what needs them says so:$missing"
  fi
fi

major=$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/')
if [ -z "$major" ] || [ "$major" -lt 20 ]; then
  say "Node.js 20 or newer with npm is needed to install the packages (found: ${major:-none})"
  exit 1
fi
if ! command -v npm >/dev/null; then
  say "npm is needed to install the packages: there is Node.js $major without it (Debian package: npm)"
  exit 1
fi
if [ ! -e node_modules/.podrouter-setup ] || [ package-lock.json -nt node_modules/.podrouter-setup ]; then
  say "npm ci"
  npm ci --loglevel=error
  if ! node_modules/node/bin/node --version >/dev/null 2>&1; then
    say "Node 24 was not installed by its npm package; its install script may have been blocked: npm rebuild node"
    npm rebuild node --loglevel=error
  fi
  touch node_modules/.podrouter-setup
fi
say "ready: Node $(node_modules/node/bin/node --version)"
