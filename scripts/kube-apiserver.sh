#!/bin/sh
# Builds a real kube-apiserver from its Go module, for `npm test apiserver`: needs Go 1.25 or newer,
# some disk and several minutes. The program goes to ~/.cache/podrouter, which is where
# the test looks when none is on PATH. etcd comes from Debian (etcd-server).
set -eu
version=${1:-1.35.4}
target=${XDG_CACHE_HOME:-$HOME/.cache}/podrouter/kube-apiserver

command -v go >/dev/null || { echo "go is missing: Go 1.25 or newer builds kube-apiserver" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
cd "$work"

printf 'module apiserver\n' >go.mod
go mod download -json "k8s.io/kubernetes@v$version" >module.json
manifest=$(sed -n 's/.*"GoMod": "\(.*\)",/\1/p' module.json)
# The main module replaces its staging modules by folders, which a module cannot pass on: name the
# published ones of the same release.
{
  printf 'module apiserver\n'
  grep -E '^(go|godebug) ' "$manifest"
  printf 'require k8s.io/kubernetes v%s\nreplace (\n' "$version"
  sed -n 's#^[[:space:]]*\(k8s.io/[^ ]*\) => ./staging.*#\1#p' "$manifest" |
    while read -r module; do printf '\t%s => %s v0.%s\n' "$module" "$module" "${version#1.}"; done
  printf ')\n'
} >go.mod
cat >main.go <<'END'
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() { os.Exit(cli.Run(app.NewAPIServerCommand())) }
END
go mod tidy
mkdir -p "$(dirname "$target")"
go build -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=v$version" -o "$target" .
echo "$target: $("$target" --version)"
