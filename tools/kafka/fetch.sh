#!/usr/bin/env bash
# Fetches Apache Kafka as jars from Maven Central (54 MB, once) into libs/ beside this file, and prints that directory.
# pom.xml says which. A second call does nothing. With `--check` it also fails where no Java can run them.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lib.sh"

if [ "${1:-}" = --check ]; then
  find_java >/dev/null || fail "Java >= $java_oldest is needed for Kafka: apt-get install default-jdk-headless"
fi
stamp=$(cksum <"$here/pom.xml")
if [ "$(cat "$here/libs/.kartshoppe-kafka" 2>/dev/null)" != "$stamp" ]; then
  have mvn || fail "Maven is needed to fetch Kafka: apt-get install maven"
  say "Kafka: fetching its jars (54 MB, once)"
  part=$here/libs.part.$$
  trap 'rm -rf "$part"' EXIT
  mvn -q -B -ntp -Dstyle.color=never -f "$here/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
    -DoutputDirectory="$part" >&2 || fail "Maven could not fetch Kafka: is Maven Central reachable?"
  printf '%s\n' "$stamp" >"$part/.kartshoppe-kafka"
  rm -rf "$here/libs"
  mv "$part" "$here/libs"
fi
echo "$here/libs"
