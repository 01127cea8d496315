#!/bin/bash
# Installs the .deb beside a stock Postfix in a bare Debian 12, and removes it again.
#
#   scripts/test-deb.sh [FILE.deb]        as root; default: the newest build/deb/*.deb
#
# Promised: after the installation Postfix asks the daemon (main.cf), the daemon answers a request
# over TCP; after the removal main.cf and master.cf have their checksums of before; after the purge
# no file is left. The Debian comes from debootstrap, from the mirror that this machine's apt uses,
# and is kept under ${XDG_CACHE_HOME:-/var/cache}/univention-mtpolicyd-test for the next run.
#
# Everything runs in namespaces of its own (mounts, network, processes): when this script ends, in
# whatever way, nothing stays mounted, no port is used and no process is left.
set -euo pipefail

suite=bookworm
cache=${XDG_CACHE_HOME:-/var/cache}/univention-mtpolicyd-test
package=univention-mtpolicyd

say() { printf '%s\n' "test-deb: $*"; }
fail() { printf '%s\n' "test-deb: FAILED: $*" >&2; exit 1; }

# --- outside -------------------------------------------------------------------------------------

make_base() {
  local base=$1 mirror fresh
  mirror=$(apt-get indextargets --format '$(SITE) $(CODENAME)' 'Created-By: Packages' |
    awk -v suite="$suite" '$2 == suite { print $1; exit }')
  [ -n "$mirror" ] || fail "apt of this machine knows no mirror of $suite"
  mkdir -p "$cache"
  fresh=$(mktemp -d "$cache/making.XXXXXX")
  say "making a base system in $base (once)"
  # The apt configuration comes along: proxies and the like belong to the machine.
  local http_proxy
  http_proxy=$(apt-config shell p Acquire::http::Proxy | sed "s/^p='\(.*\)'$/\1/")
  if ! {
    env ${http_proxy:+http_proxy="$http_proxy"} \
      debootstrap --variant=minbase --include=systemd-standalone-sysusers \
      "$suite" "$fresh" "$mirror" &&
      cp -a /etc/apt/apt.conf.d/. "$fresh/etc/apt/apt.conf.d/" &&
      cp /etc/resolv.conf "$fresh/etc/resolv.conf" &&
      printf '#!/bin/sh\nexit 101\n' > "$fresh/usr/sbin/policy-rc.d" &&
      chmod 755 "$fresh/usr/sbin/policy-rc.d" &&
      printf 'mail.example.org\n' > "$fresh/etc/mailname" &&
      printf '%s\n' 'postfix postfix/main_mailer_type select Internet Site' \
        'postfix postfix/mailname string mail.example.org' |
        chroot "$fresh" debconf-set-selections &&
      unshare --mount --pid --fork --kill-child /bin/sh -ec '
        mount -t proc proc "$1/proc"
        export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
        chroot "$1" apt-get update -q
        chroot "$1" apt-get install -q -y --no-install-recommends postfix
        chroot "$1" apt-get clean' sh "$fresh"
  } > "$cache/base.log" 2>&1; then
    tail -n 20 "$cache/base.log" >&2
    rm -rf --one-file-system "$fresh"
    fail "no base system (all of it: $cache/base.log)"
  fi
  chmod 755 "$fresh"
  mv -T "$fresh" "$base"
}

outside() {
  [ "$(id -u)" = 0 ] || fail 'this needs root'
  cd "$(dirname "$(readlink -f "$0")")/.."
  local deb base work status=0
  deb=${1:-$(ls -t build/deb/*.deb 2> /dev/null | head -n 1)}
  [ -f "$deb" ] || fail 'no .deb: run make deb'
  base=$cache/$suite
  [ -d "$base" ] || make_base "$base"
  work=$(mktemp -d "${TMPDIR:-/tmp}/test-deb.XXXXXX")
  # shellcheck disable=SC2064  # the directory of now
  trap "rm -rf --one-file-system '$work'" EXIT
  chmod 755 "$work"
  cp -a --reflink=auto "$base/." "$work/"
  cp "$deb" "$work/tmp/$package.deb"
  unshare --mount --net --pid --fork --kill-child /bin/bash "$0" --inside "$work" || status=$?
  return "$status"
}

# --- inside the namespaces -----------------------------------------------------------------------

inside() {
  root=$1
  mount -t proc proc "$root/proc"
  ip link set lo up
  export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin

  in_root() { chroot "$root" "$@"; }
  sums() { (cd "$root/etc/postfix" && sha256sum main.cf master.cf); }
  # What the package manager itself writes down is not the package's.
  files() {
    (cd "$root" && find . -xdev \( -path ./proc -o -path ./tmp -o -path ./var/lib/dpkg \
      -o -path ./var/lib/apt -o -path ./var/cache -o -path ./var/log \) -prune -o -print) |
      grep -Ev '^\./etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$|^\./etc/\.pwd\.lock$' | sort
  }
  item() { in_root postconf -h smtpd_end_of_data_restrictions; }
  # As a Postfix would: one request, one answer, over TCP.
  ask() {
    exec 9<> /dev/tcp/127.0.0.1/12345 || return 1
    printf '%s\n' request=smtpd_access_policy protocol_state=END-OF-MESSAGE instance=1.1.1.0 \
      sender=alice@example.org recipient_count=1 client_address=127.0.0.1 sasl_username=alice '' >&9
    local answer
    IFS= read -r -t 10 answer <&9
    exec 9>&-
    printf '%s\n' "$answer"
  }
  wait_for_answer() {
    local tries
    for tries in $(seq 100); do
      if ask 2> /dev/null; then return 0; fi
      sleep 0.1
    done
    return 1
  }

  local before files_before
  before=$(sums)
  files_before=$(files)

  say 'install'
  in_root apt-get install -q -y --no-install-recommends "/tmp/$package.deb" > "$root/tmp/log" 2>&1 ||
    { cat "$root/tmp/log"; fail 'apt-get install'; }
  grep -F 'inet:127.0.0.1:12345' <<< "$(item)" || { cat "$root/tmp/log"; fail 'no item in main.cf'; }
  [ -z "$(in_root postfix check 2>&1)" ] || fail "postfix check: $(in_root postfix check 2>&1)"
  [ "$(sums)" != "$before" ] || fail 'main.cf is unchanged'
  for program in mtpolicyd mtpolicyctl policyd-client; do
    in_root sh -c "command -v $program" > /dev/null || fail "no $program"
  done

  say 'the daemon answers, as its own user'
  in_root install -d -o "$package" -g "$package" "/run/$package"
  in_root setpriv --reuid="$package" --regid="$package" --init-groups mtpolicyd -f \
    > "$root/tmp/daemon" 2>&1 &
  local daemon=$! answer
  answer=$(wait_for_answer) || { cat "$root/tmp/daemon"; fail 'no answer'; }
  [ "$answer" = action=dunno ] || fail "answer: $answer"
  say "  $answer"

  say 'a mail passes Postfix'
  in_root postfix start > /dev/null 2>&1 || fail 'postfix start'
  smtp || fail 'the mail was not accepted'

  say 'install again: nothing doubles'
  in_root apt-get install -q -y --reinstall "/tmp/$package.deb" > "$root/tmp/log" 2>&1 ||
    { cat "$root/tmp/log"; fail 'reinstall'; }
  [ "$(item | grep -o check_policy_service | wc -l)" = 1 ] || fail "item: $(item)"

  say 'remove'
  in_root apt-get remove -q -y "$package" > "$root/tmp/log" 2>&1 ||
    { cat "$root/tmp/log"; fail 'apt-get remove'; }
  kill "$daemon" && wait "$daemon" || true
  diff <(printf '%s\n' "$before") <(sums) || fail 'main.cf or master.cf differ'
  smtp || fail 'no mail after the removal'
  in_root postfix stop > /dev/null 2>&1

  say 'install after the removal: registered again'
  in_root apt-get install -q -y --no-install-recommends "/tmp/$package.deb" > "$root/tmp/log" 2>&1 ||
    { cat "$root/tmp/log"; fail 'second install'; }
  grep -qF 'inet:127.0.0.1:12345' <<< "$(item)" || { cat "$root/tmp/log"; fail 'not registered again'; }

  say 'purge'
  in_root apt-get purge -q -y "$package" > "$root/tmp/log" 2>&1 ||
    { cat "$root/tmp/log"; fail 'apt-get purge'; }
  diff <(printf '%s\n' "$before") <(sums) || fail 'main.cf or master.cf differ after the purge'
  # What a running Postfix writes is not the package's.
  local left
  left=$(diff <(printf '%s\n' "$files_before") <(files) | grep '^[<>]' |
    grep -Ev ' \./(var/spool/postfix|var/lib/postfix|var/mail|run|dev/shm)(/|$)' || true)
  [ -z "$left" ] || fail "files are left, or gone: $left"
  [ ! -e "$root/run/$package" ] || fail "/run/$package is left"
  say 'ok'
}

# One mail through port 25 of the Postfix in the chroot; true if it is taken over.
smtp() {
  exec 8<> /dev/tcp/127.0.0.1/25 || return 1
  local line reply
  for line in '' 'EHLO client.example.net' 'MAIL FROM:<a@example.net>' 'RCPT TO:<root@localhost>' \
    DATA $'Subject: test\r\n\r\nhello\r\n.'; do
    [ -z "$line" ] || printf '%s\r\n' "$line" >&8
    while IFS= read -r -t 20 reply <&8 && [ "${reply:3:1}" = - ]; do :; done
    case $reply in [23]*) ;; *) say "$line: $reply"; return 1 ;; esac
  done
  exec 8>&-
}

if [ "${1:-}" = --inside ]; then inside "$2"; else outside "$@"; fi
