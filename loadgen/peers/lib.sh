# Sourced by every NAME/start, which takes a port, or --version.
#
# Each start script ends with `exec`, so that its pid is the server's: who started it measures and stops that one process.
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

# needs PROGRAM...: stops where one of them is missing.
needs() {
  local program
  for program in "$@"; do
    have "$program" || fail "$program is missing; loadgen/peers/install installs it"
  done
}

# configured FILE: prints the path of a copy of it with {port} filled in, and with {folder} where it may write, and
# {descriptors} that it may open. Ports change from run to run: what has long been read is removed.
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

# As many connections as there are ports to connect from, where we may; else as many as we may.
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -H -n)"
