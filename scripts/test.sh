#!/bin/sh
# All checks and tests. As root on Debian it installs what they need; elsewhere what is missing is
# skipped aloud. With CI set nothing may be skipped.
set -eu
cd "$(dirname "$0")/.."

packages="postfix sasl2-bin libsasl2-modules libsasl2-modules-db openssl geoip-database groff-base python3 gcc libc6-dev"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  missing=$(for package in $packages; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -q '^installed$' || echo "$package"
  done)
  if [ -n "$missing" ]; then
    # shellcheck disable=SC2086 # one word each
    set -- $missing
    echo "Installing for the tests: $*"
    # Without a main.cf of its own: the tests bring theirs, and nothing is started.
    echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
  fi
fi

make --no-print-directory build
make --no-print-directory check
node_modules/.bin/node scripts/test-report.ts "$@"
