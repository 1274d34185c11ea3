# Sourced by every NAME/start, which takes a port, or --version.
#
# Each start script ends with `exec`, so that its pid is the server's: the caller measures and stops that one process.
# shellcheck shell=bash
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
tools=$root/.tools

fail() {
  echo "$0: $*" >&2
  exit 1
}

case ${1:-} in
--version) ;;
*[!0-9]* | '') fail "usage: $0 PORT | --version" ;;
esac

have() { command -v "$1" >/dev/null 2>&1; }

# needs PROGRAM...: stops if one of them is missing.
needs() {
  local program
  for program in "$@"; do
    have "$program" || fail "$program is missing; loadgen/peers/install installs it"
  done
}

# configured FILE: prints the path of a copy of FILE with these filled in: {port}, {folder} that the server may write
# to, and {descriptors}, the number of files it may open. Ports change from run to run, so old copies are removed.
configured() {
  local copy
  copy=$folder/$port-$(basename "$1")
  mkdir -p "$folder"
  find "$folder" -maxdepth 1 -name '[0-9]*-*' -mmin +60 -delete
  sed -e "s|{port}|$port|g" -e "s|{folder}|$folder|g" -e "s|{descriptors}|$(ulimit -n)|g" "$1" >"$copy"
  echo "$copy"
}

port=${1:-}
folder=$tools/peers

# Allows as many connections as there are ports to connect from, or, if that is forbidden, as many as possible.
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -H -n)"
