#!/usr/bin/env bash
# Takes a picture of each page of the shop and the console, for desktop and phone, light and dark, after a scripted session: sales, a price drop,
# a cart, an order. The first argument is the folder to write to; target/screenshots if left out.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

folder=${1:-target/screenshots}
case $folder in /*) ;; *) folder=$root/$folder ;; esac
KARTSHOPPE_SCREENSHOTS=$folder "$root/tools/e2e.sh" --config screenshots.config.ts
say "the pictures are in $folder"
