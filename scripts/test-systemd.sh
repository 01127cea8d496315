#!/bin/bash
# Tests the package in a booted Debian, in a container: scripts/test-systemd.sh [--suite SUITE] [DEB]
#
# Needs root, systemd-nspawn, and the base system that scripts/test-deb.sh creates; systemd is added to
# a copy of it, once. The container has no network except its own loopback. However this script ends,
# the container is removed.
set -euo pipefail

suite=bookworm
if [ "${1:-}" = --suite ]; then suite=$2; shift 2; fi
cache=${XDG_CACHE_HOME:-/var/cache}/univention-mtpolicyd-test
name=univention-mtpolicyd
top=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)

say() { printf '%s\n' "test-systemd: $*"; }
fail() {
  printf '%s\n' "test-systemd: FAILED: $*" >&2
  # The daemon's last log lines often show why.
  [ -z "${leader:-}" ] || inside journalctl --no-pager -n 25 -u "$name" -u "$name.socket" >&2 || true
  exit 1
}

[ "$(id -u)" = 0 ] || fail 'this needs root'
command -v systemd-nspawn > /dev/null || fail 'systemd-nspawn is missing: apt install systemd-container'
deb=${1:-$(ls -t "$top"/build/deb/*.deb 2> /dev/null | head -n 1)}
[ -f "$deb" ] || fail 'there is no .deb: run make deb'
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
    fail "cannot add systemd (full log: $cache/bootable.log)"
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
# The same package with a newer version, for the upgrade.
dpkg-deb -R "$deb" "$work/root/next"
sed -i 's/^Version: .*/&+1/' "$work/root/next/DEBIAN/control"
dpkg-deb -Znone -b "$work/root/next" "$work/root/next.deb" > /dev/null
rm -rf "$work/root/next"
cp "$top/test/support/restart-load.ts" "$top/test/support/smtpd-client.ts" \
  "$top/test/support/console-change.ts" "$work/root/"

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

# --- functions for the checks ---------------------------------------------------------------------

show() { inside systemctl show -P "$1" "${2:-$name.service}"; }
# ask PORT USER: one request and its answer; fails if nothing listens.
ask() {
  inside timeout 10 bash -c '
    exec 9<> "/dev/tcp/127.0.0.1/$1" || exit 1
    printf "%s\n" request=smtpd_access_policy protocol_state=END-OF-MESSAGE "instance=$RANDOM.$RANDOM.0" \
      recipient_count=1 client_address=127.0.0.1 "sasl_username=$2" "" >&9
    IFS= read -r answer <&9 && printf "%s\n" "$answer"' ask "$@" 2> /dev/null
}
expect() {
  local answer
  answer=$(ask "$1" "$2") || fail "no answer on port $1"
  case $answer in "action=$3"*) ;; *) fail "port $1, user $2: expected $3, got $answer" ;; esac
}
milliseconds() { echo $(($(date +%s%N) / 1000000)); }
# wait_for_other PID: waits until another process has become the service and answers.
wait_for_other() {
  for _ in $(seq 300); do
    case $(show MainPID) in 0 | "$1") ;; *) if ask 12345 nobody > /dev/null; then return; fi ;; esac
    sleep 0.1
  done
  fail 'it was not restarted'
}

journal_since() { inside journalctl --no-pager -q --since "$1"; }
now() { inside date '+%F %T'; }
starts_since() { journal_since "$1" | grep -c "Starting $name.service" || true; }
# Postfix would retry after a second. If nothing listens, a connection must fail at once.
refused_at_once() {
  local began
  began=$(milliseconds)
  if ask "$1" nobody > /dev/null; then fail 'it answers'; fi
  [ $(($(milliseconds) - began)) -lt 1000 ] || fail "a connection waited $(($(milliseconds) - began)) ms for a daemon that is not there"
}
wait_until_ready() { inside mtpolicyctl ready --wait "$1" > "$work/log" 2>&1 || { cat "$work/log"; fail "not back within $1 s"; }; }
states() { for unit in "$name.service" "$name.socket" "$name-retry.service"; do show ActiveState "$unit"; done | tr '\n' ' '; }
# retry_after SECONDS: shortens the retry interval, which is a minute in the package.
retry_after() {
  inside mkdir -p "/run/systemd/system/$name-retry.service.d"
  inside sh -c 'printf "[Service]\nEnvironment=SECONDS_OF_QUIET=%s\n" "$1" > "$2"' sh "$1" \
    "/run/systemd/system/$name-retry.service.d/test.conf"
  inside systemctl daemon-reload
}
many_starts() { inside systemctl reset-failed "$name.service"; }

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
many_starts
inside mtpolicyctl set mtpolicyd/threshold=1000000 > /dev/null || fail 'set threshold'

# Alerts by mail leave the daemon's sandbox through a folder and a unit of their own.
[ "$(show ActiveState "$name-mail.path")" = active ] || fail "$name-mail.path is $(show ActiveState "$name-mail.path")"
outgoing=/var/lib/$name/outgoing
wait_until_sent() {
  for _ in $(seq "$1"); do
    [ -n "$(inside sh -c "ls $outgoing/*.mail 2> /dev/null")" ] || return 0
    sleep 0.5
  done
  inside journalctl --no-pager -n 20 -u "$name-mail" >&2
  fail 'the mail was not sent'
}
inside mtpolicyctl set mtpolicyd/alert/mail=root mtpolicyd/alert/language=de > /dev/null || fail 'set alert/mail'
began=$(now)
inside mtpolicyctl alert test > "$work/log" 2>&1 || { cat "$work/log"; fail 'alert test'; }
wait_until_sent 60
for _ in $(seq 60); do
  inside cat /var/mail/root > "$work/log" 2> /dev/null && break
  sleep 0.5
done
grep -q '^Auto-Submitted: auto-generated$' "$work/log" || {
  cat "$work/log"; journal_since "$began" | tail -n 30; fail 'no mail has arrived'; }
say "alerts by mail: $(grep -m 1 '^Subject:' "$work/log")"
inside mv /usr/sbin/sendmail /usr/sbin/sendmail.away
if inside mtpolicyctl alert test > "$work/log" 2>&1; then cat "$work/log"; fail 'alert test without sendmail says ok'; fi
sed 's/^/  /' "$work/log"
for _ in $(seq 20); do [ "$(show NRestarts "$name-mail.service")$(show SubState "$name-mail.service")" = 0auto-restart ] && break; sleep 0.5; done
[ "$(show SubState "$name-mail.service")" = auto-restart ] || fail "without sendmail the service is $(show SubState "$name-mail.service")"
inside mv /usr/sbin/sendmail.away /usr/sbin/sendmail
wait_until_sent 150
[ "$(show ActiveState "$name-mail.path")" = active ] || fail 'the path unit has given up'
say "  what cannot be sent waits, and is sent within a minute"
# What follows counts log lines.
inside mtpolicyctl set mtpolicyd/alert/mail=none > /dev/null || fail 'set alert/mail'

# The daemon may set nothing: its console asks a unit that runs as root.
[ "$(show ActiveState "$name-change.socket")" = active ] || fail "$name-change.socket is $(show ActiveState "$name-change.socket")"
inside mtpolicyctl web on > "$work/log" 2>&1 || { cat "$work/log"; fail 'web on'; }
link=$(grep -o 'http://[^ ]*#login=[^ ]*' "$work/log") || { cat "$work/log"; fail 'no login link'; }
inside "/usr/lib/$name/node" /root/console-change.ts "$link" 777 > "$work/log" 2>&1 || {
  cat "$work/log"; inside journalctl --no-pager -n 20 -u "$name-change@*" >&2; fail 'a change by the console'; }
inside mtpolicyctl web off > /dev/null || fail 'web off'
say 'the console sets a variable and takes it back, and not what is set on the host alone'

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
  grep ':3039 ' && fail 'the old port is still open'
case $(show Listen "$name.socket") in *12345*) fail 'the unit still has the old port' ;; *23456*) ;; esac
inside postconf -h smtpd_end_of_data_restrictions | grep -qF inet:127.0.0.1:23456 ||
  fail "Postfix still queries: $(inside postconf -h smtpd_end_of_data_restrictions)"
if inside mtpolicyctl set mtpolicyd/port=25 > "$work/log" 2>&1; then fail 'the port of smtpd was accepted'; fi
grep -q 'is in use by master (process .*set mtpolicyd/port=' "$work/log" || { cat "$work/log"; fail 'no clear message'; }
expect 23456 alice dunno
inside mtpolicyctl set mtpolicyd/port=12345 > /dev/null || fail 'set port back'
expect 12345 alice dunno
inside mtpolicyctl set mtpolicyd/clients=192.0.2.0/24 mtpolicyd/host=0.0.0.0 > /dev/null ||
  fail 'set host'
show Listen "$name.socket" | grep -q '^0\.0\.0\.0:12345 ' || fail 'it does not listen on the network'
expect 12345 alice dunno
inside mtpolicyctl unset mtpolicyd/host mtpolicyd/clients > /dev/null || fail 'unset host'
expect 12345 alice dunno
say 'port: changed and changed back, Postfix follows, the old endpoint is closed; a port in use is rejected'

node="/usr/lib/$name/node"
load() {
  inside "$node" /root/restart-load.ts 12345 "$@" > "$work/load" || { cat "$work/load"; fail "connections failed during $*"; }
  say "1,000 connections during $1 × ${*:2}: $(cat "$work/load")"
}
many_starts
load 3 systemctl restart "$name"
many_starts
load 1 apt-get install -q -y --no-install-recommends /root/next.deb
case $(inside dpkg-query -W -f '${Version}' "$name") in *+1) ;; *) fail 'the second build is not installed' ;; esac
inside mtpolicyctl set mtpolicyd/threshold=5 > /dev/null || fail 'set'
expect 12345 bob reject
say '  and the counts survive the upgrade'
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
grep -q 'newer version' "$work/log" || { cat "$work/log"; fail 'a newer schema is not rejected with a clear message'; }
say "newer schema: $(grep -m 1 'newer version' "$work/log")"
user_version "$schema" > /dev/null
inside systemctl start "$name"
expect 12345 alice dunno

# A state directory on another disk, and a missing one.
inside systemctl stop "$name.socket" "$name.service"
inside mv "/var/lib/$name" /srv
inside ln -s "/srv/$name" "/var/lib/$name"
inside systemctl start "$name.socket" "$name.service" || fail 'the state directory is a link'
inside mtpolicyctl set mtpolicyd/threshold=5 > /dev/null || fail 'set'
expect 12345 bob reject
inside systemctl start "$name-cron.service" || fail 'the periodic tasks, with a state directory that is a link'
inside mtpolicyctl set mtpolicyd/threshold=1000000 > /dev/null || fail 'set threshold'
say 'a state directory that is a link: the counts are kept'
many_starts

# A full disk at startup, from which the files are copied: this must pass the unit's system call filter.
inside systemctl stop "$name.socket" "$name.service"
inside sh -c 'mount -t tmpfs -o size=400k none "/var/lib/$1"; chown "$1:" "/var/lib/$1"; : > "/var/lib/$1/ledger.sqlite"
  chown "$1:" "/var/lib/$1/ledger.sqlite"; cat /dev/zero > "/var/lib/$1/fill"' sh "$name" 2> /dev/null || true
inside systemctl start "$name" || fail 'a full disk'
expect 12345 alice dunno
inside mtpolicyctl status > "$work/log" 2>&1 || true
grep -q '^BAD *counts' "$work/log" || { cat "$work/log"; fail 'the full disk is not reported'; }
inside systemctl stop "$name.socket" "$name.service"
inside sh -c 'umount "/var/lib/$1/."' sh "$name"
inside systemctl start "$name" || fail 'start'
many_starts
say 'a full disk at startup: the daemon answers and reports it'

# The port is the same, whatever the environment says.
inside mkdir -p "/run/systemd/system/$name.service.d"
inside sh -c 'printf "[Service]\nEnvironment=MTPOLICYD_PORT=12777\n" > "$1"' sh "/run/systemd/system/$name.service.d/port.conf"
inside sh -c 'echo MTPOLICYD_HOST=127.0.0.2 > "$1"' sh "/etc/default/$name"
inside systemctl daemon-reload
began=$(now)
inside systemctl restart "$name"
expect 12345 alice dunno
inside mtpolicyctl status > "$work/log" 2>&1 || { cat "$work/log"; fail 'status'; }
grep -q '^ok *listening *127.0.0.1:12345 \[::1\]:12345$' "$work/log" || { cat "$work/log"; fail 'not where Postfix connects'; }
for command in mtpolicyd/port=12777 mtpolicyd/host=127.0.0.2; do
  journal_since "$began" | grep -q "is ignored, because systemd listens.*mtpolicyctl set $command" || fail "$command is not mentioned"
done
inside rm "/run/systemd/system/$name.service.d/port.conf" "/etc/default/$name"
inside systemctl daemon-reload
say 'MTPOLICYD_PORT and _HOST under systemd: ignored and reported'
many_starts

# A permanent failure. The retry interval is a minute in the package.
inside mkdir -p "/etc/$name/conf.d"
inside sh -c 'echo "<VirtualHost 12345>" > "$1"' sh "/etc/$name/conf.d/broken.conf"
began=$(now) minute=$(milliseconds)
inside systemctl restart "$name" 2> /dev/null && fail 'a broken configuration was accepted'
sleep 1
for _ in $(seq 9); do
  refused_at_once 12345
  sleep 1
done
[ "$(states)" = 'failed inactive active ' ] || fail "while it fails: $(states)"
inside systemctl restart "$name" 2> /dev/null && fail 'a broken configuration was accepted'
sleep 1
refused_at_once 12345
inside systemctl stop "$name" || fail 'stop'
sleep 1
[ "$(states)" = 'failed inactive inactive ' ] || fail "stopped while it fails: $(states)"
# From here on nobody does anything by hand.
sleep 1
alone=$(now)
inside systemctl start "$name" 2> /dev/null && fail 'a broken configuration was accepted'
sleep 20
inside rm "/etc/$name/conf.d/broken.conf"
wait_until_ready 120
expect 12345 alice dunno
starts=$(starts_since "$began") lines=$(journal_since "$alone" | grep -vc postfix)
say "a rejected configuration: the daemon is back by itself once it is fixed; $starts starts in $((($(milliseconds) - minute) / 1000)) s (three by hand), $lines log lines since the last of them"
[ "$starts" -le 10 ] || fail 'too many starts'
[ "$lines" -le 30 ] || { journal_since "$alone"; fail 'too many log lines'; }
many_starts

# A daemon that crashes before it is ready.
retry_after 8
inside mv "$node" "$node.away"
inside sh -c 'printf "#!/bin/sh\nkill -SEGV \$\$\n" > "$1"; chmod 755 "$1"' sh "$node"
began=$(now)
inside systemctl restart "$name" 2> /dev/null && fail 'it started'
sleep 5
refused_at_once 12345
first=$(starts_since "$began")
sleep 16
starts=$(starts_since "$began") lines=$(journal_since "$began" | grep -vc postfix)
say "a daemon that crashes at startup: $first immediate starts, $((starts - first)) in the next 16 s, 8 s apart; $lines lines"
[ "$first" -le 5 ] && [ $((starts - first)) -le 3 ] || fail 'too many starts'
inside mv "$node.away" "$node"
wait_until_ready 20
expect 12345 alice dunno

# Real mail with a login, through the package's own test: counted, and rejected over the limit.
cp "$top/debian/tests/counted-mail" "$work/root/"
inside sh /root/counted-mail > "$work/log" 2>&1 || { cat "$work/log"; fail 'counted-mail'; }
grep -q 'Daily limit of 2 recipients reached' "$work/log" || { cat "$work/log"; fail 'nothing was rejected'; }
say 'authenticated mail is counted, the third of two is rejected, after unregistering it passes'

inside dpkg --purge "$name" > "$work/log" 2>&1 || { cat "$work/log"; fail 'purge'; }
left=$(inside sh -c "ls -d /etc/systemd/system/$name* /etc/systemd/system/*/$name* /run/$name 2> /dev/null" || true)
[ -z "$left" ] || fail "left: $left"
if ask 12345 alice > /dev/null; then fail 'something listens after the purge'; fi

# --- a port that another program uses ---------------------------------------------------------------

printf '%s\n' 'use strict; use IO::Socket::IP;' \
  'my $s = IO::Socket::IP->new(LocalHost => "127.0.0.1", LocalPort => 12345, Listen => 9, ReuseAddr => 1) or die "bind: $!";' \
  '$SIG{TERM} = sub { sleep 1; exit 0 };' \
  'while (1) { my $c = $s->accept or next; print $c "* OK\r\n"; close $c }' > "$work/root/owner.pl"
printf '%s\n' '[Service]' 'ExecStart=/usr/bin/perl /root/owner.pl' > "$work/root/owner.service"
inside sh -c 'cat > /run/systemd/system/owner.service' < "$work/root/owner.service"
retry_after 8
inside systemctl start owner
sleep 0.5
inside dpkg -i "/root/$name.deb" > "$work/log" 2>&1 || { cat "$work/log"; fail 'dpkg -i beside another'; }
grep -q '127.0.0.1:12345 belongs to perl (process .*owner.service); a free port: mtpolicyctl set mtpolicyd/port=12346' \
  "$work/log" || { cat "$work/log"; fail 'the owner of the port is not named'; }
for _ in 1 2 3; do
  inside systemctl restart owner || fail 'restart of the owner'
  sleep 1.5
  [ "$(show ActiveState owner)" = active ] || fail 'the other program has lost its port'
done
# As at boot: our socket first, then all services.
inside systemctl stop owner "$name.service" "$name.socket"
inside systemctl start "$name.socket"
inside systemctl start "$name.service" 2> /dev/null && fail 'it took a port that was in use a moment ago'
inside systemctl start owner
sleep 0.5
[ "$(show ActiveState owner)" = active ] || fail 'the other program has lost its port at boot'
say 'a port in use: its owner is named at installation, and keeps it across a restart and a boot'
inside mtpolicyctl set mtpolicyd/port=12346 > "$work/log" 2>&1 || { cat "$work/log"; fail 'another port'; }
expect 12346 alice dunno
if inside mtpolicyctl set mtpolicyd/port=12345 > "$work/log" 2>&1; then fail 'the port in use was accepted'; fi
inside systemctl stop owner
inside mtpolicyctl unset mtpolicyd/port > "$work/log" 2>&1 || { cat "$work/log"; fail 'the port, although it is free now'; }
expect 12345 alice dunno
inside mtpolicyctl postfix register > /dev/null || fail 'register'
say '  another port takes effect at once, and so does the first one when it is free'
inside dpkg --purge "$name" > "$work/log" 2>&1 || { cat "$work/log"; fail 'purge'; }
say 'ok'
