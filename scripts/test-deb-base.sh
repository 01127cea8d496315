#!/bin/bash
# Creates the base systems for test-deb.sh, once.
#
#   scripts/test-deb-base.sh SUITE        bookworm, trixie, jammy, noble; as root
#
# Creates $cache/SUITE (a minimal system with a stock Postfix) and $cache/SUITE-mtpolicyd (the same
# with Debian's mtpolicyd, if the suite has it). Debian is installed from the mirror that this
# machine's apt uses, Ubuntu from UBUNTU_MIRROR. Exit status: 0 created or present, 1 failed, 77 no
# mirror.
set -euo pipefail

suite=$1
cache=${XDG_CACHE_HOME:-/var/cache}/univention-mtpolicyd-test
say() { printf '%s\n' "test-deb: $*"; }

# Runs a command in a tree, in namespaces of its own.
in_tree() {
  local tree=$1
  shift
  unshare --mount --pid --fork --kill-child /bin/sh -ec '
    tree=$1; shift
    mount -t proc proc "$tree/proc"
    export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
    exec chroot "$tree" "$@"' sh "$tree" "$@"
}

host_mirror() {
  apt-get indextargets --format '$(SITE) $(RELEASE)' 'Created-By: Packages' |
    awk '$2 ~ /^[a-z]+$/ { print $1; exit }'
}

case $suite in
  jammy | noble) mirror=${UBUNTU_MIRROR:-} components=main,universe sysusers=systemd ;;
  *) mirror=$(host_mirror) components=main sysusers=systemd-standalone-sysusers ;;
esac
[ -n "$mirror" ] || exit 77
mkdir -p "$cache"

# Moved to its final name only when complete.
finish() {
  chmod 755 "$1"
  mv -T "$1" "$2"
}
making=$(mktemp -d "$cache/making.XXXXXX")
trap 'rm -rf --one-file-system "$making"' EXIT

# Debian has no package with Ubuntu's keys. Taking them from the mirror is good enough for tests.
fetch_keyring() {
  local index=dists/$suite/main/binary-amd64/Packages.gz path
  /usr/lib/apt/apt-helper download-file "$mirror/$index" "$making/Packages.gz"
  path=$(zcat "$making/Packages.gz" |
    awk '$1 == "Package:" { ours = $2 == "ubuntu-keyring" } ours && $1 == "Filename:" { print $2 }')
  /usr/lib/apt/apt-helper download-file "$mirror/$path" "$making/keyring.deb"
  dpkg-deb -x "$making/keyring.deb" "$making/keyring"
}

make_stock() {
  local fresh=$making/stock http_proxy options=()
  # Use this machine's proxy.
  http_proxy=$(apt-config shell p Acquire::http::Proxy | sed "s/^p='\(.*\)'$/\1/")
  if [ "$components" != main ]; then
    fetch_keyring
    options+=(--keyring "$making/keyring/usr/share/keyrings/ubuntu-archive-keyring.gpg")
  fi
  # One script serves all Ubuntu suites, but a new one may not be listed by name yet.
  local script=()
  [ -e "/usr/share/debootstrap/scripts/$suite" ] || script=(/usr/share/debootstrap/scripts/gutsy)
  env ${http_proxy:+http_proxy="$http_proxy"} debootstrap --variant=minbase \
    --components="$components" --include="$sysusers" "${options[@]}" \
    "$suite" "$fresh" "$mirror" "${script[@]}"
  cp -a /etc/apt/apt.conf.d/. "$fresh/etc/apt/apt.conf.d/"
  cp /etc/resolv.conf "$fresh/etc/resolv.conf"
  # dpkg syncs every file; a tree that is discarded on failure does not need that.
  echo force-unsafe-io > "$fresh/etc/dpkg/dpkg.cfg.d/test"
  printf '#!/bin/sh\nexit 101\n' > "$fresh/usr/sbin/policy-rc.d"
  chmod 755 "$fresh/usr/sbin/policy-rc.d"
  printf 'mail.example.org\n' > "$fresh/etc/mailname"
  printf '%s\n' 'postfix postfix/main_mailer_type select Internet Site' \
    'postfix postfix/mailname string mail.example.org' | chroot "$fresh" debconf-set-selections
  in_tree "$fresh" apt-get update -q
  in_tree "$fresh" apt-get install -q -y --no-install-recommends postfix
  in_tree "$fresh" apt-get clean
  # For the test in which Postfix is installed last.
  in_tree "$fresh" sh -c 'cd /root && apt-get download -q -o APT::Sandbox::User=root postfix'
  finish "$fresh" "$cache/$suite"
}

# If the suite no longer has mtpolicyd, none is created, and the test reports that.
make_with_mtpolicyd() {
  local fresh=$making/with-mtpolicyd
  cp -a --reflink=auto "$cache/$suite" "$fresh"
  if in_tree "$fresh" apt-cache show mtpolicyd > /dev/null 2>&1; then
    in_tree "$fresh" apt-get install -q -y --no-install-recommends mtpolicyd
    in_tree "$fresh" apt-get clean
    finish "$fresh" "$cache/$suite-mtpolicyd"
  else
    mkdir -p "$cache/$suite-mtpolicyd"
    touch "$cache/$suite-mtpolicyd/none"
  fi
}

log=$cache/base-$suite.log
: > "$log"
for step in make_stock:$suite make_with_mtpolicyd:$suite-mtpolicyd; do
  [ -d "$cache/${step#*:}" ] && continue
  say "creating a base system in $cache/${step#*:} (once)"
  # In a process of its own, because set -e has no effect within a condition.
  (set -e; "${step%%:*}") >> "$log" 2>&1 &
  if ! wait $!; then
    tail -n 15 "$log" >&2
    say "cannot create the base system $suite (full log: $log)" >&2
    exit 1
  fi
done
