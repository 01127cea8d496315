#!/bin/bash
# The package in a booted Debian, in a container: scripts/test-systemd.sh [--suite SUITE] [DEB]
#
# Needs root, systemd-nspawn, and the base system that scripts/test-deb.sh keeps; systemd is added to
# a copy of that, once. The container has no network but its own loopback; when this script ends, in
# whatever way, it is gone.
set -euo pipefail

suite=bookworm
if [ "${1:-}" = --suite ]; then suite=$2; shift 2; fi
cache=${XDG_CACHE_HOME:-/var/cache}/univention-mtpolicyd-test
name=univention-mtpolicyd
top=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)

say() { printf '%s\n' "test-systemd: $*"; }
fail() {
  printf '%s\n' "test-systemd: FAILED: $*" >&2
  # What the daemon said last often tells why.
  [ -z "${leader:-}" ] || inside journalctl --no-pager -n 25 -u "$name" -u "$name.socket" >&2 || true
  exit 1
}

[ "$(id -u)" = 0 ] || fail 'this needs root'
command -v systemd-nspawn > /dev/null || fail 'no systemd-nspawn: apt install systemd-container'
deb=${1:-$(ls -t "$top"/build/deb/*.deb 2> /dev/null | head -n 1)}
[ -f "$deb" ] || fail 'no .deb: run make deb'
[ -d "$cache/$suite" ] || fail "no base system $cache/$suite: run scripts/test-deb.sh first"

make_bootable() {
  local fresh
  fresh=$(mktemp -d "$cache/making.XXXXXX")
  say "adding systemd and mail clients to a copy of $cache/$suite (once)"
  cp -a --reflink=auto "$cache/$suite/." "$fresh/"
  rm -f "$fresh/usr/sbin/policy-rc.d"
  cp /etc/resolv.conf "$fresh/etc/resolv.conf"
  unshare --mount --pid --fork --kill-child /bin/sh -ec '
    mount -t proc proc "$1/proc"
    export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
    chroot "$1" apt-get update -q
    chroot "$1" apt-get install -q -y --no-install-recommends systemd systemd-sysv \
      sasl2-bin libsasl2-modules swaks
    chroot "$1" apt-get clean' sh "$fresh" > "$cache/bootable.log" 2>&1 || {
    tail -n 20 "$cache/bootable.log" >&2
    rm -rf --one-file-system "$fresh"
    fail "systemd cannot be added (all of it: $cache/bootable.log)"
  }
  chmod 755 "$fresh"
  mv -T "$fresh" "$cache/$suite-with-mail"
}

[ -d "$cache/$suite-with-mail" ] || make_bootable
work=$(mktemp -d "${TMPDIR:-/tmp}/test-systemd.XXXXXX")
nspawn='' leader=''
clean_up() {
  [ -z "$leader" ] || kill -KILL "$leader" 2> /dev/null || true
  [ -z "$nspawn" ] || { kill "$nspawn" 2> /dev/null || true; wait "$nspawn" 2> /dev/null || true; }
  rm -rf --one-file-system "$work"
}
trap clean_up EXIT
trap 'fail "line $LINENO"' ERR
chmod 755 "$work"
cp -a --reflink=auto "$cache/$suite-with-mail/." "$work/"
cp "$deb" "$work/root/$name.deb"
# The same package as a next version, for the upgrade.
dpkg-deb -R "$deb" "$work/root/next"
sed -i 's/^Version: .*/&+1/' "$work/root/next/DEBIAN/control"
dpkg-deb -Znone -b "$work/root/next" "$work/root/next.deb" > /dev/null
rm -rf "$work/root/next"
cp "$top/test/support/restart-load.ts" "$top/test/support/smtpd-client.ts" "$work/root/"

# --- boot ----------------------------------------------------------------------------------------

systemd-nspawn --quiet --register=no --keep-unit --private-network --console=passive \
  -b -D "$work" > "$work.console" 2>&1 < /dev/null &
nspawn=$!
inside() { nsenter -t "$leader" --all --wdns=/ -- env -i LC_ALL=C.UTF-8 \
  PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }
for _ in $(seq 300); do
  leader=$(pgrep -P "$nspawn" | head -n 1 || true)
  state=
  [ -z "$leader" ] || state=$(inside systemctl is-system-running 2> /dev/null || true)
  case $state in running | degraded) break ;; esac
  sleep 0.2
done
mv "$work.console" "$work/console"
case $state in running | degraded) ;; *) cat "$work/console" >&2; fail "not booted: $state" ;; esac
say "booted: systemd $(inside systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p'), $suite"

# --- what is asked again and again ---------------------------------------------------------------

show() { inside systemctl show -P "$1" "${2:-$name.service}"; }
# ask PORT USER: one request, its answer; fails where nobody listens.
ask() {
  inside timeout 10 bash -c '
    exec 9<> "/dev/tcp/127.0.0.1/$1" || exit 1
    printf "%s\n" request=smtpd_access_policy protocol_state=END-OF-MESSAGE "instance=$RANDOM.$RANDOM.0" \
      recipient_count=1 client_address=127.0.0.1 "sasl_username=$2" "" >&9
    IFS= read -r answer <&9 && printf "%s\n" "$answer"' ask "$@" 2> /dev/null
}
expect() {
  local answer
  answer=$(ask "$1" "$2") || fail "no answer at port $1"
  case $answer in "action=$3"*) ;; *) fail "port $1, user $2: expected $3, got $answer" ;; esac
}
milliseconds() { echo $(($(date +%s%N) / 1000000)); }
# wait_for_other PID: until another process is the service and answers.
wait_for_other() {
  for _ in $(seq 300); do
    case $(show MainPID) in 0 | "$1") ;; *) if ask 12345 nobody > /dev/null; then return; fi ;; esac
    sleep 0.1
  done
  fail 'it was not started again'
}

# --- the checks ----------------------------------------------------------------------------------

inside dpkg -i "/root/$name.deb" > "$work/log" 2>&1 || { cat "$work/log"; fail 'dpkg -i'; }
for unit in "$name.service" "$name.socket" "$name-cron.timer"; do
  [ "$(show ActiveState "$unit")" = active ] || fail "$unit is $(show ActiveState "$unit")"
done
expect 12345 alice dunno
say "active and answering; $(show StatusText)"
inside postconf -h smtpd_end_of_data_restrictions | grep -qF inet:127.0.0.1:12345 ||
  fail 'not registered with Postfix'

score=$(inside systemd-analyze security "$name.service" --no-pager 2> /dev/null |
  sed -n 's/.*Overall exposure level for .*: \([0-9.]*\).*/\1/p')
awk -v score="$score" 'BEGIN { exit !(score != "" && score <= 1.3) }' || fail "security score $score"
say "systemd-analyze security: $score"
[ "$(inside sh -c 'sed -n "s/^Max open files *\([0-9]*\).*/\1/p" /proc/'"$(show MainPID)/limits")" -ge 10100 ] ||
  fail 'too few open files for 10,000 connections'

inside systemctl restart "$name"
inside systemctl reload "$name" || fail 'reload right after the start'
inside systemctl restart --no-block "$name"
inside mtpolicyctl reload > /dev/null || fail 'reload while it starts'
inside systemctl start "$name-cron.service" || fail 'the periodic tasks'
say 'reload right after the start, and while it starts; periodic tasks'

inside mtpolicyctl set mtpolicyd/threshold=5 > /dev/null || fail 'set'
for _ in 1 2 3; do expect 12345 bob dunno; done
old=$(show MainPID)
began=$(milliseconds)
inside sh -c "kill -KILL $old"
wait_for_other "$old"
say "kill -9: answering again after $(($(milliseconds) - began)) ms"
for _ in 1 2; do expect 12345 bob dunno; done
expect 12345 bob reject
say '  and the counts are intact'
inside mtpolicyctl set mtpolicyd/threshold=1000000 > /dev/null || fail 'set threshold'

inside mkdir -p "/run/systemd/system/$name.service.d"
printf '[Service]\nWatchdogSec=3\n' > "$work/watchdog"
inside sh -c "cat > /run/systemd/system/$name.service.d/watchdog.conf" < "$work/watchdog"
inside systemctl daemon-reload
inside systemctl restart "$name"
old=$(show MainPID)
sleep 4
[ "$(show MainPID)" = "$old" ] || fail 'a healthy daemon does not satisfy the watchdog'
began=$(milliseconds)
inside sh -c "kill -STOP $old"
wait_for_other "$old"
say "watchdog (3 s here, 30 s as packaged): a stopped process was replaced after $(($(milliseconds) - began)) ms"
inside rm "/run/systemd/system/$name.service.d/watchdog.conf"
inside systemctl daemon-reload
inside systemctl restart "$name"

inside mtpolicyctl set mtpolicyd/port=23456 > "$work/log" 2>&1 || { cat "$work/log"; fail 'set port'; }
expect 23456 alice dunno
if ask 12345 alice > /dev/null; then fail 'the old endpoint still answers'; fi
inside grep -q ':3039 ' /proc/net/tcp /proc/net/tcp6 && inside awk '$4 == "0A"' /proc/net/tcp /proc/net/tcp6 |
  grep ':3039 ' && fail 'the old port is still listened on'
case $(show Listen "$name.socket") in *12345*) fail 'the unit still has the old port' ;; *23456*) ;; esac
inside postconf -h smtpd_end_of_data_restrictions | grep -qF inet:127.0.0.1:23456 ||
  fail "Postfix still asks: $(inside postconf -h smtpd_end_of_data_restrictions)"
if inside mtpolicyctl set mtpolicyd/port=25 > "$work/log" 2>&1; then fail 'the port of smtpd was accepted'; fi
grep -q 'in use by another program' "$work/log" || { cat "$work/log"; fail 'no clear message'; }
expect 23456 alice dunno
inside mtpolicyctl set mtpolicyd/port=12345 > /dev/null || fail 'set port back'
expect 12345 alice dunno
inside mtpolicyctl set mtpolicyd/clients=192.0.2.0/24 mtpolicyd/host=0.0.0.0 > /dev/null ||
  fail 'set host'
show Listen "$name.socket" | grep -q '^0\.0\.0\.0:12345 ' || fail 'not opened to the network'
expect 12345 alice dunno
inside mtpolicyctl unset mtpolicyd/host mtpolicyd/clients > /dev/null || fail 'unset host'
expect 12345 alice dunno
say 'port: moved and back, Postfix with it, the old endpoint gone; a port in use is refused'

node="/usr/lib/$name/node"
load() {
  inside "$node" /root/restart-load.ts 12345 "$@" > "$work/load" || { cat "$work/load"; fail "connections failed during $*"; }
  say "1,000 connections during $1 × ${*:2}: $(cat "$work/load")"
}
load 3 systemctl restart "$name"
load 1 apt-get install -q -y --no-install-recommends /root/next.deb
case $(inside dpkg-query -W -f '${Version}' "$name") in *+1) ;; *) fail 'the second build is not installed' ;; esac
inside mtpolicyctl set mtpolicyd/threshold=5 > /dev/null || fail 'set'
expect 12345 bob reject
say '  and the counts of before the upgrade stand'
inside mtpolicyctl set mtpolicyd/threshold=1000000 > /dev/null || fail 'set threshold'

inside systemctl stop "$name.socket" "$name.service"
user_version() {
  inside "$node" --no-warnings -e 'const { DatabaseSync } = require("node:sqlite")
    const db = new DatabaseSync(process.argv[1])
    console.log(db.prepare("PRAGMA user_version").get().user_version)
    if (process.argv[2]) db.exec("PRAGMA user_version = " + process.argv[2])
    db.close()' "/var/lib/$name/ledger.sqlite" "$@"
}
schema=$(user_version 999)
if inside timeout 60 setpriv --reuid="$name" --regid="$name" --init-groups mtpolicyd -f > "$work/log" 2>&1; then
  fail 'a newer schema was accepted'
fi
grep -q 'newer version' "$work/log" || { cat "$work/log"; fail 'a newer schema is not refused clearly'; }
say "newer schema: $(grep -m 1 'newer version' "$work/log")"
user_version "$schema" > /dev/null
inside systemctl start "$name"
expect 12345 alice dunno

# Real mail with a login, through the package's own test: counted, refused over the limit.
cp "$top/debian/tests/counted-mail" "$work/root/"
inside sh /root/counted-mail > "$work/log" 2>&1 || { cat "$work/log"; fail 'counted-mail'; }
grep -q 'You may send to 2 recipients per day' "$work/log" || { cat "$work/log"; fail 'no refusal'; }
say 'authenticated mail is counted, the third of two is refused, unregistered it passes'

inside dpkg --purge "$name" > "$work/log" 2>&1 || { cat "$work/log"; fail 'purge'; }
left=$(inside sh -c "ls -d /etc/systemd/system/$name* /etc/systemd/system/*/$name* /run/$name 2> /dev/null" || true)
[ -z "$left" ] || fail "left: $left"
if ask 12345 alice > /dev/null; then fail 'something listens after the purge'; fi
say 'ok'
