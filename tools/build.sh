#!/usr/bin/env bash
# build.sh [LAST]: sets up what is missing and builds what has changed, as `make run` does, and opens nothing. Before the first build it says
# which steps there are and how long they take; LAST: what the caller does after them, which is one of them.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

steps=3
[ -z "${1:-}" ] || steps=4
is_first=yes
[ ! -x "target/$run_target_dir/kartshoppe" ] || is_first=''
# step NUMBER WHAT: later builds take seconds, and what does something says so itself.
step() { [ -z "$is_first" ] || say "step $1 of $steps, after $((SECONDS / 60)) min $((SECONDS % 60)) s: $2"; }

[ -z "$is_first" ] || say "the first build: $steps steps, $first_build in all on two cores, nearly all of it step 3. Later builds take seconds"
step 1 "look for what this machine lacks, and install it where that is allowed (seconds, if nothing is missing)"
tools/doctor.sh run
[ -n "${DATABASE_URL:-}${KARTSHOPPE__POSTGRES__DATABASE_URL:-}" ] || tools/postgres/bin-dir.sh >/dev/null
step 2 "fetch the page's packages and build the page (about a minute)"
tools/ui.sh
step 3 "compile some 300 libraries, which cargo counts on a terminal, and last the shop itself, which alone takes minutes"
tools/cargo.sh build --profile "$run_profile" --locked
if [ "$steps" = 3 ]; then say "built: target/$run_target_dir/kartshoppe"; else step 4 "$1"; fi
