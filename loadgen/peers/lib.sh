# Sourced by every NAME/start, which takes a port, or --version.
#
# Each start script ends with `exec`, so that its pid is the server's: the caller stops that one process, and measures it
# and its children.
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

# tickcast: prints the broker's program.
tickcast() {
  local program=${TICKCAST:-${CARGO_TARGET_DIR:-$root/target}/release/tickcast}
  [ -x "$program" ] || fail "$program is missing: cargo build --release -p broker"
  echo "$program"
}

# broker_behind: starts a broker for the proxy that the script becomes by `exec`, and sets `behind` to its address. It is
# then a child of the proxy, so that the CPU and the memory of both are measured together, and it ends with the proxy.
broker_behind() {
  local program log
  needs setpriv
  [ -n "${CREDENTIALS:-}" ] || fail "CREDENTIALS has to be a folder that loadgen/peers/tls/credentials has filled"
  program=$(tickcast)
  mkdir -p "$folder"
  log=$folder/$port-tickcast.log
  : >"$log"
  setpriv --pdeathsig KILL "$program" serve --listen=127.0.0.1:0 --admin-listen=127.0.0.1:0 --shards=1 \
    --log-format=json >/dev/null 2>"$log" &
  while kill -0 $! 2>/dev/null; do
    behind=$(sed -n 's/.*"listen":"\([^"]*\)".*/\1/p' "$log" | head -n 1)
    [ -n "$behind" ] && return
    sleep 0.02
  done
  fail "the broker did not start: $(tail -n 3 "$log")"
}

# configured FILE: prints the path of a copy of FILE with these filled in: {port}, {folder} that the server may write
# to, {descriptors}, the number of files it may open, {clients}, half of them with a few left over, {behind}, {credentials}
# and {buffer}. Ports change from run to run, so old copies are removed.
configured() {
  local copy
  copy=$folder/$port-$(basename "$1")
  mkdir -p "$folder"
  find "$folder" -maxdepth 1 -name '[0-9]*-*' -mmin +60 -delete
  sed -e "s|{port}|$port|g" -e "s|{folder}|$folder|g" -e "s|{descriptors}|$(ulimit -n)|g" \
    -e "s|{clients}|$((($(ulimit -n) - 100) / 2))|g" -e "s|{behind}|${behind:-}|g" \
    -e "s|{credentials}|${CREDENTIALS:-}|g" -e "s|{buffer}|${BUFFER:-}|g" "$1" >"$copy"
  echo "$copy"
}

port=${1:-}
folder=$tools/peers

# Allows as many connections as there are ports to connect from, or, if that is forbidden, as many as possible.
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -H -n)"
