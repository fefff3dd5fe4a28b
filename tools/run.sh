#!/usr/bin/env bash
# Sets up what is missing, builds what has changed, and opens the shop. Arguments go to `kartshoppe serve`. KARTSHOPPE_BIN names a
# binary that is there already: then nothing is built.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"
prepare_shop "open the shop, which makes its database and its log (seconds)"

# The server takes the place of this shell, so that it gets Ctrl-C and signals itself; meanwhile a background process waits for it and
# prints its address. The double fork leaves the server no child to wait for.
(
  pid=$$
  {
    if url=$(wait_ready "${KARTSHOPPE__DATA_DIR:-.kartshoppe}" "$pid" 120); then
      say "the shop is open: $url (Ctrl-C closes it)"
      # BROWSER=none: a program opens the shop, and closes it again.
      if [ "${BROWSER:-}" = none ]; then exit; fi
      if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] && have xdg-open; then xdg-open "$url" >/dev/null 2>&1 || true; fi
      if [ "$(uname)" = Darwin ]; then open "$url" || true; fi
    fi
  } &
)
exec "$binary" serve "$@"
