#!/usr/bin/env bash
# delete-work.sh FOLDER: deletes a folder in which shops had their data directories, and the clusters that lie outside of it, as those of a shop
# that root has opened do. A PostgreSQL that a killed shop has left running is stopped.
set -euo pipefail

clusters() {
  local location place
  find "$1" -type d -path '*/postgres/cluster' -prune
  find "$1" -type f -path '*/postgres/location' | while read -r location; do
    place=$(head -n 1 "$location")
    # A copied data directory names the cluster of another one.
    if [ "$(head -n 1 "$place/home" 2>/dev/null)" = "${location%/location}" ]; then echo "$place/cluster"; fi
  done
}

[ -d "${1:?which folder?}" ] || exit 0
folder=$(cd "$1" && pwd -P)
clusters "$folder" | while read -r cluster; do
  pid=$(head -n 1 "$cluster/postmaster.pid" 2>/dev/null) || pid=''
  if [ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd")" = "$cluster" ]; then
    kill -INT "$pid" 2>/dev/null || true
    for _ in {1..100}; do
      [ -e "$cluster/postmaster.pid" ] || break
      sleep 0.1
    done
  fi
  case $cluster in "$folder"/*) ;; *) rm -rf "${cluster%/cluster}" ;; esac
done
rm -rf "$folder"
