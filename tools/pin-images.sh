#!/usr/bin/env bash
# Pins the images of compose.yml and Dockerfile: writes behind each tag the digest that its registry has for it now
# (apache/kafka:4.3.1 becomes apache/kafka:4.3.1@sha256:…). Needs docker with buildx and a registry that answers; without them
# nothing is changed. Run it when a tag is raised, and commit what it wrote.
#   pin-images.sh           writes the digests
#   pin-images.sh --check   says which images have none; changes nothing
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

files=(compose.yml Dockerfile)
# Images that are pulled: those with a tag. What we build ourselves (`image: kartshoppe`) has none.
images() { sed -nE 's/^[[:space:]]*image:[[:space:]]*([^[:space:]#]+:[^[:space:]#]+).*/\1/p; s/^FROM[[:space:]]+([^[:space:]]+:[^[:space:]]+).*/\1/p' "${files[@]}" | sort -u; }

missing=0
for image in $(images); do
  case $image in *@sha256:*) [ "${1:-}" = --check ] && continue ;; esac
  if [ "${1:-}" = --check ]; then
    say "$image has no digest"
    missing=$((missing + 1))
    continue
  fi
  tag=${image%@*}
  digest=$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$tag") || fail "no digest of $tag: is docker here, and does its registry answer?"
  [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || fail "$tag: $digest is no digest"
  for file in "${files[@]}"; do
    content=$(cat "$file")
    printf '%s\n' "${content//"$image"/"$tag@$digest"}" >"$file"
  done
  say "$tag is $digest"
done
[ "$missing" = 0 ] || fail "$missing images go by their tags alone: tools/pin-images.sh, where a registry answers"
