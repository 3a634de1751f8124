#!/bin/sh
# Builds kube-apiserver, kube-controller-manager, kube-scheduler, kubelet and kubectl from their Go
# modules, for `npm test kubernetes`: needs Go 1.25 or newer, some disk and several minutes. The
# programs go to ~/.cache/podrouter/kubernetes, which is where the tests look after PATH.
set -eu
version=${1:-1.35.4}
case $version in -*) echo "usage: scripts/kubernetes-programs.sh [VERSION]" >&2; exit 2 ;; esac
target=${XDG_CACHE_HOME:-$HOME/.cache}/podrouter/kubernetes

command -v go >/dev/null || { echo "go is missing: Go 1.25 or newer builds Kubernetes" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
cd "$work"

printf 'module programs\n' >go.mod
go mod download -json "k8s.io/kubernetes@v$version" >module.json
manifest=$(sed -n 's/.*"GoMod": "\(.*\)",/\1/p' module.json)
# The main module replaces its staging modules by folders, which a module cannot pass on: name the
# published ones of the same release.
{
  printf 'module programs\n'
  grep -E '^(go|godebug) ' "$manifest"
  printf 'require k8s.io/kubernetes v%s\nreplace (\n' "$version"
  sed -n 's#^[[:space:]]*\(k8s.io/[^ ]*\) => ./staging.*#\1#p' "$manifest" |
    while read -r module; do printf '\t%s => %s v0.%s\n' "$module" "$module" "${version#1.}"; done
  printf ')\n'
} >go.mod

# program NAME IMPORT COMMAND: a main package that runs one command of the module.
program() {
  mkdir -p "$1"
  cat >"$1/main.go" <<END
package main

import (
	"context"
	"os"

	"k8s.io/component-base/cli"
	"$2"
)

var _ = context.Background

func main() { os.Exit(cli.Run($3)) }
END
}
program kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver/app 'app.NewAPIServerCommand()'
program kube-controller-manager k8s.io/kubernetes/cmd/kube-controller-manager/app \
  'app.NewControllerManagerCommand()'
program kube-scheduler k8s.io/kubernetes/cmd/kube-scheduler/app 'app.NewSchedulerCommand()'
program kubelet k8s.io/kubernetes/cmd/kubelet/app 'app.NewKubeletCommand(context.Background())'
program kubectl k8s.io/kubectl/pkg/cmd 'cmd.NewDefaultKubectlCommand()'

go mod tidy
mkdir -p "$target"
for name in kube-apiserver kube-controller-manager kube-scheduler kubelet kubectl; do
  go build -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=v$version" \
    -o "$target/$name" "./$name"
  echo "$target/$name"
done
