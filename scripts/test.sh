#!/bin/sh
# All checks and tests. As root on Debian it installs what they need; elsewhere what is missing is
# skipped aloud. With CI set nothing may be skipped, and the package itself is installed, too.
#
#   scripts/test.sh [TEST-FILE ...]
set -eu
cd "$(dirname "$0")/.."

packages="postfix sasl2-bin libsasl2-modules libsasl2-modules-db openssl geoip-database groff-base python3 gcc libc6-dev"
# Its documentation has the test suite of RFC 7208.
packages="$packages python3-spf"
# Files of keys and values as their own tools make them.
packages="$packages db-util postfix-cdb"
# Servers that tests start by themselves (scripts/test-servers.ts).
packages="$packages postgresql mariadb-server redis-server redis-sentinel memcached
slapd ldap-utils fail2ban faketime"
if [ -n "${CI:-}" ]; then
  packages="$packages debhelper debootstrap systemd-container iproute2"
fi

# Installs without starting a service: an administrator's own policy stands, else one that says no
# stands for as long as this takes.
install_idle() (
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o Dpkg::Options::='--path-include=/usr/share/doc/python3-spf/*' "$@" >/dev/null
)

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  missing=$(for package in $packages; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -q '^installed$' || echo "$package"
  done)
  if [ -n "$missing" ]; then
    echo "Installing for the tests:" $missing
    # Without a main.cf of its own: the tests bring theirs, and nothing is started.
    if command -v debconf-set-selections >/dev/null; then
      echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
    fi
    apt-get update -qq
    # One word each.
    # shellcheck disable=SC2086
    install_idle $missing
  fi
fi

make --no-print-directory build
make --no-print-directory check

if [ -z "${CI:-}" ]; then
  echo "Not run here: the Debian package (make test-deb, as root)."
elif [ "$(id -u)" = 0 ]; then
  DEB_COMPRESS="xz -0" make --no-print-directory deb
  scripts/test-deb.sh --suites bookworm
else
  echo "The Debian package can only be tested as root, and on CI nothing may be skipped." >&2
  exit 1
fi

node_modules/.bin/node scripts/test-report.ts "$@"
