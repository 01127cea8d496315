#!/bin/sh
# Runs all checks and tests. As root on Debian it first installs what they need; otherwise tests whose
# requirements are missing are reported as skipped. With CI set nothing may be skipped, and the package
# is tested as well.
#
#   scripts/test.sh [TEST-FILE ...]
set -eu
cd "$(dirname "$0")/.."

packages="postfix sasl2-bin libsasl2-modules libsasl2-modules-db openssl geoip-database groff-base python3 gcc libc6-dev iproute2"
# Its documentation contains the test suite of RFC 7208.
packages="$packages python3-spf"
# Tools that create the map files which the tests read.
packages="$packages db-util postfix-cdb postfix-pcre"
# promtool, which tests the alert rules.
packages="$packages prometheus"
# Servers that the tests start themselves (scripts/test-servers.ts).
packages="$packages postgresql mariadb-server redis-server redis-sentinel memcached
slapd ldap-utils fail2ban faketime"
# The web console is looked at in a real browser.
packages="$packages chromium"
if [ -n "${CI:-}" ]; then
  packages="$packages debhelper debootstrap systemd-container"
fi

# Installs without starting services: an administrator's own policy-rc.d is kept, otherwise one that
# denies everything exists during the installation.
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
    # Without a main.cf: the tests have their own, and nothing is started.
    if command -v debconf-set-selections >/dev/null; then
      echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
    fi
    apt-get update -qq
    # Split into words on purpose.
    # shellcheck disable=SC2086
    install_idle $missing
  fi
fi

make --no-print-directory build
make --no-print-directory check

if [ -z "${CI:-}" ]; then
  echo "The Debian package is not tested here; to do so: make test-deb (as root)."
elif [ "$(id -u)" = 0 ]; then
  DEB_COMPRESS="xz -0" make --no-print-directory deb
  scripts/test-deb.sh --suites bookworm
else
  echo "The Debian package can only be tested as root, and with CI set nothing may be skipped." >&2
  exit 1
fi

node_modules/.bin/node scripts/test-report.ts "$@"
