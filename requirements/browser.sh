#!/bin/sh
# The two things the browser channels need and pip cannot bring: a browser (Debian's packages) and wa-js (npm).
# usage: browser.sh [--check]   What cannot be installed is said in one line each, and the exit status is 1.
#        --check installs nothing: it says what is missing.
cd "$(dirname "$0")/.." || exit 1
web=services/channel-whatsapp/web
bundle=$web/node_modules/@wppconnect/wa-js/dist/wppconnect-wa.js
packages="chromium-headless-shell chromium"
missing=0

say() {
  echo "$1" >&2
  missing=1
}

browsers() {
  for name in $packages; do
    command -v "$name" >/dev/null || return 1
  done
}

install_browsers() {
  command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] || return 1
  echo "installing $packages …"
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2086  # two packages, two words
  apt-get update -qq && apt-get install -y -qq --no-install-recommends $packages fonts-dejavu-core >/dev/null
}

install_wajs() {
  # npm ci removes what is there before it installs: not needed where the lock's own copy says the same
  [ -f $bundle ] && [ $web/node_modules/.package-lock.json -nt $web/package-lock.json ] && return 0
  PATH="$PWD/.venv/bin:$PATH" .venv/bin/npm ci --silent --prefix $web && touch $web/node_modules/.package-lock.json
}

if [ "$1" != --check ]; then
  browsers || install_browsers
  install_wajs
fi
browsers || say "WhatsApp and \`kurir login\` need a browser: sudo apt-get update && sudo apt-get install -y $packages"
[ -f $bundle ] || say "WhatsApp needs wa-js, which npm could not fetch: once it can reach its registry, make setup (or name the file in CHANNEL_WHATSAPP_WAJS_FILE)"
exit $missing
