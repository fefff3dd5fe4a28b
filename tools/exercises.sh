#!/usr/bin/env bash
# exercises.sh [NUMBER...]: proves the exercises of exercises/ (all, or these): the hole applies, the program still starts, the named test fails
# by an assertion; the solution applies, and test and page are right. Prints how long each rebuild took. It patches this working tree and
# takes the patches back at its end, so files that a patch touches must be committed.
#
# exercises.sh --check: only whether every patch still fits the sources; builds nothing.
# exercises.sh --renew [NUMBER...]: writes the patches again where the committed sources have moved below them.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

mode=prove
case ${1:-} in
  --check | --renew)
    mode=${1#--}
    shift
    ;;
esac
work=$(work_folder)
applied=() server=''

finish() {
  local status=$? place
  if [ -n "$server" ]; then stop_server "$server" "$work" || status=1; fi
  for ((place = ${#applied[@]} - 1; place >= 0; place--)); do
    git apply --reverse "${applied[place]}" || { say "take it back by hand: git apply --reverse ${applied[place]}" && status=1; }
  done
  tools/delete-work.sh "$work"
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

# The folders of these numbers, or all.
folders() {
  local number
  if [ $# = 0 ]; then printf '%s\n' exercises/[0-9]*; else
    for number in "$@"; do
      ls -d exercises/"$(printf '%02d' "${number#[Ee]}")"-* 2>/dev/null || fail "there is no exercise $number"
    done
  fi
}

# value FILE KEY: a text of an exercise.toml. words FILE KEY: a list of texts, one a line.
value() { sed -n "s/^$2 = \"\(.*\)\"\$/\1/p" "$1/exercise.toml"; }
words() { sed -n "s/^$2 = //p" "$1/exercise.toml" | node -e 'JSON.parse(require("fs").readFileSync(0)).forEach((word) => console.log(word))'; }

# Does the solution add something, instead of giving back what the hole took?
adds() { grep -qx 'adds = true' "$1/exercise.toml"; }

# The files that a patch changes, or adds.
touched() { git apply --numstat "$1" | cut -f3; }

# Does each patch fit? In a copy of the files it touches; where the solution only gives back what the hole took, nothing may be left changed.
check() {
  local folder=$1 copy=$work/${1#exercises/} file
  mkdir -p "$copy"
  for file in $(words "$folder" files); do
    [ ! -e "$file" ] || { mkdir -p "$copy/before/$(dirname "$file")" && cp "$file" "$copy/before/$file"; }
  done
  cp -r "$copy/before" "$copy/after"
  for patch in hole solution; do
    # Outside of a repository, so that the patch is held against these files and not against those of a repository above.
    (cd "$copy/after" && GIT_CEILING_DIRECTORIES=$work git apply "$root/$folder/$patch.patch") ||
      fail "$folder/$patch.patch does not fit any more: commit the sources, then tools/exercises.sh --renew $(basename "$folder" | cut -c1-2)"
  done
  adds "$folder" || diff -r "$copy/before" "$copy/after" >/dev/null || fail "$folder: after the solution the sources differ from those before the hole"
  diff <(words "$folder" files | sort) <(for patch in hole solution; do touched "$folder/$patch.patch"; done | sort -u) >&2 ||
    fail "$folder/exercise.toml: \`files\` is not what the patches touch"
  for stage in 1 2 3; do grep -qx "## $stage" "$folder/hints.md" || fail "$folder/hints.md has no ## $stage"; done
}

# In a clone of what is committed: git merges the patch by the contents that it was made of.
renew() {
  local folder=$1 clone=$work/clone-${1#exercises/}
  git clone --quiet --shared . "$clone"
  git -C "$clone" apply --3way --index "$root/$folder/hole.patch" || fail "$folder/hole.patch: settle it by hand, as CONTRIBUTING.md says"
  git -C "$clone" diff --cached --full-index >"$work/hole.patch"
  if adds "$folder"; then
    git -C "$clone" -c user.name=exercises -c user.email=exercises@localhost commit --quiet --no-verify -m hole
    git -C "$clone" apply --3way --index "$root/$folder/solution.patch" || fail "$folder/solution.patch: settle it by hand, as CONTRIBUTING.md says"
    git -C "$clone" diff --cached --full-index >"$work/solution.patch"
  else
    git -C "$clone" diff --cached --full-index -R >"$work/solution.patch"
  fi
  mv "$work/hole.patch" "$work/solution.patch" "$folder/"
}

apply() {
  git apply "$1"
  applied+=("$1")
}

# built NAME: builds the named test, and says how long it took.
built() {
  local begin=$SECONDS
  # shellcheck disable=SC2154 # of `prove`
  tools/cargo.sh test --locked --no-run "${target[@]}" >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2 && fail "$1 does not build"; }
  say "$1: the test was rebuilt in $((SECONDS - begin)) s"
}

# The program starts, and says that it is ready.
starts() {
  local begin=$SECONDS port data=$work/data
  # Binaries are built for an integration test; this is the smallest.
  tools/cargo.sh test --locked --no-run --test tidy >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2 && fail "$1: the program does not build"; }
  say "$1: the program was rebuilt in $((SECONDS - begin)) s"
  port=$(free_port)
  env -u DATABASE_URL KARTSHOPPE__DATA_DIR="$data" KARTSHOPPE__HTTP__LISTEN=127.0.0.1:"$port" KARTSHOPPE__ADMIN__LISTEN=127.0.0.1:"$(free_port)" \
    target/debug/kartshoppe serve >"$work/server.log" 2>&1 &
  server=$!
  wait_ready "$data" "$server" 120 >/dev/null || { tail -n 40 "$work/server.log" >&2 && fail "$1: the program does not start"; }
  stop_server "$server" "$work"
  server=''
  tools/delete-work.sh "$data"
}

# drilled NAME PLAN STATUS: the drill with this plan ends with this status: 1 with what it found broken, 0 if the shop held.
drilled() {
  local status=0 begin=$SECONDS
  env -u DATABASE_URL target/debug/kartshoppe drill --plan "$2" --folder "$work/drill" >"$work/drill.log" 2>&1 || status=$?
  say "$1: $(grep -m 1 '^# Drill' "$work/drill.log" || tail -n 1 "$work/drill.log") (after $((SECONDS - begin)) s)"
  [ "$status" = "$3" ] || { tail -n 80 "$work/drill.log" >&2 && fail "$1: the drill ended with $status instead of $3"; }
  nothing_left "the drill" "$work/drill" || fail "$1: the drill left processes"
  tools/delete-work.sh "$work/drill"
}

prove() {
  local folder=$1 name target=() test=() word browser plan changed reason
  name=$(basename "$folder")
  changed=$(for patch in hole solution; do touched "$folder/$patch.patch"; done | sort -u | xargs git status --porcelain --)
  [ -z "$changed" ] || fail "$name: commit these first, the patches touch them:"$'\n'"$changed"
  mapfile -t test < <(words "$folder" test)
  for word in "${test[@]}"; do
    [ "$word" != -- ] || break
    target+=("$word")
  done
  applied=()
  apply "$folder/hole.patch"
  built "$name, with the hole"
  ! tools/cargo.sh test --locked "${test[@]}" >"$work/test.log" 2>&1 || fail "$name: the test passes with the hole"
  grep -q 'test result: FAILED. 0 passed; 1 failed' "$work/test.log" || { cat "$work/test.log" >&2 && fail "$name: the test did not run with the hole"; }
  # The failure says what is missing, not that a time is over.
  reason=$(sed -n '/ panicked at /{n;p;q;}' "$work/test.log")
  case $reason in
    '' | *Elapsed*) cat "$work/test.log" >&2 && fail "$name: the test fails with the hole, but by no assertion" ;;
    *) say "$name, with the hole: $reason" ;;
  esac
  starts "$name, with the hole"
  plan=$(value "$folder" drill)
  [ -z "$plan" ] || drilled "$name, with the hole" "$plan" 1
  apply "$folder/solution.patch"
  built "$name, solved"
  tools/cargo.sh test --locked "${test[@]}" >"$work/test.log" 2>&1 && grep -q 'test result: ok. 1 passed' "$work/test.log" ||
    { cat "$work/test.log" >&2 && fail "$name: the test fails with the solution"; }
  browser=$(value "$folder" browser)
  # Both look at the program, which the test alone does not rebuild.
  [ -z "$browser$plan" ] || tools/cargo.sh test --locked --no-run --test tidy >/dev/null 2>&1
  [ -z "$plan" ] || drilled "$name, solved" "$plan" 0
  if [ -n "$browser" ]; then
    if find_browser >/dev/null; then tools/e2e.sh "$browser"; else skipped "$name: the page is not looked at: no Chromium"; fi
  fi
  git apply --reverse "$folder/solution.patch"
  git apply --reverse "$folder/hole.patch"
  applied=()
  say "$name: red with the hole, green with the solution"
}

if [ "$mode" = prove ]; then
  tools/doctor.sh run
  [ -n "${KARTSHOPPE__POSTGRES__BIN_DIR:-}" ] || KARTSHOPPE__POSTGRES__BIN_DIR=$(tools/postgres/bin-dir.sh)
  export KARTSHOPPE__POSTGRES__BIN_DIR
  tools/ui.sh
fi
chosen=$(folders "$@")
for folder in $chosen; do "$mode" "$folder"; done
if [ "$mode" = renew ]; then for folder in $chosen; do check "$folder"; done; fi
say "exercises: $mode done for $(wc -l <<<"$chosen")"
