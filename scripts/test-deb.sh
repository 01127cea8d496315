#!/bin/bash
# Installs the .deb beside a stock Postfix in bare systems, and lets everything happen to it that
# happens to packages: an upgrade, Debian's mtpolicyd before it, full disks, its removal.
#
#   scripts/test-deb.sh [--suites LIST] [--only LIST] [FILE.deb]
#
# As root. Suites: bookworm,trixie, or also jammy and noble, with UBUNTU_MIRROR set; --only names
# scenarios (below); the package is the newest of build/deb. One line per check; a failure shows the
# log of its step and goes on with the next scenario. At the end scripts/test-systemd.sh does the same
# package in a booted system, where systemd-nspawn is there. The base systems (test-deb-base.sh)
# are kept; every scenario works in a layer above one, in namespaces of its own (mounts, network,
# processes): when this script ends, in whatever way, nothing stays mounted, no port is used and no
# process is left.
set -euo pipefail

cache=${XDG_CACHE_HOME:-/var/cache}/univention-mtpolicyd-test
package=univention-mtpolicyd
scenarios=stock,together,taken_over,shipped_configuration,postfix_comes_last,port_taken
scenarios+=,main_cf_read_only,disk_full,no_user

say() { printf '%s\n' "test-deb: $*"; }
fail() { printf '%s\n' "test-deb: FAILED: $*" >&2; exit 1; }

# --- outside -------------------------------------------------------------------------------------

# The same package without compression, which installs in a third of the time, and a next version.
make_variants() {
  local deb=$1 unpacked=$work/unpacked
  dpkg-deb -R "$deb" "$unpacked"
  dpkg-deb -Znone -b "$unpacked" "$work/quick.deb" > /dev/null
  sed -i 's/^Version: .*/&+1/' "$unpacked/DEBIAN/control"
  dpkg-deb -Znone -b "$unpacked" "$work/next.deb" > /dev/null
  cp "$deb" "$work/package.deb"
}

outside() {
  local suites=bookworm,trixie deb= only=no suite status failed=0 started=$SECONDS
  while [ $# -gt 0 ]; do
    case $1 in
      --suites) suites=${2:?--suites LIST}; shift 2 ;;
      --suites=*) suites=${1#*=}; shift ;;
      --only) only=yes scenarios=${2:?--only LIST}; shift 2 ;;
      -*) fail "unknown option $1" ;;
      *) deb=$(readlink -f "$1"); shift ;;
    esac
  done
  [ "$(id -u)" = 0 ] || fail 'this needs root'
  cd "$(dirname "$(readlink -f "$0")")/.."
  deb=${deb:-$(ls -t build/deb/*.deb 2> /dev/null | head -n 1)}
  [ -f "$deb" ] || fail 'no .deb: run make deb'
  say "$(basename "$deb"), $(du -h "$deb" | cut -f 1)"
  work=$(mktemp -d "${TMPDIR:-/tmp}/test-deb.XXXXXX")
  trap 'rm -rf --one-file-system "$work"' EXIT
  chmod 755 "$work"
  make_variants "$deb"

  for suite in ${suites//,/ }; do
    status=0
    scripts/test-deb-base.sh "$suite" || status=$?
    case $status in
      0) run_suite "$suite" || failed=1 ;;
      77) say "$suite: SKIPPED, its mirror is not known here (UBUNTU_MIRROR)" ;;
      *) say "$suite: SKIPPED, no base system could be made"; failed=1 ;;
    esac
  done
  if [ "$only" = yes ]; then
    :
  elif [ ! -x scripts/test-systemd.sh ]; then
    say 'systemd: SKIPPED, there is no scripts/test-systemd.sh'
  elif ! command -v systemd-nspawn > /dev/null; then
    say 'systemd: SKIPPED, there is no systemd-nspawn here'
  else
    scripts/test-systemd.sh "$deb" || failed=1
  fi
  if [ "$failed" = 0 ]; then say "ok, $((SECONDS - started)) s"; else fail 'see above'; fi
}

run_suite() {
  local suite=$1 scenario began=$SECONDS now from times= failed=0
  for scenario in ${scenarios//,/ }; do
    from=$suite now=$SECONDS
    case $scenario in taken_over | shipped_configuration) from=$suite-mtpolicyd ;; esac
    if [ -e "$cache/$from/none" ]; then
      say "$suite: SKIPPED, this suite has no mtpolicyd: $scenario"
      continue
    fi
    unshare --mount --net --pid --fork --kill-child \
      /bin/bash "$0" --inside "$suite" "$cache/$from" "$work" "$scenario" || failed=1
    rm -rf --one-file-system "$work/layer"
    times+=", $scenario $((SECONDS - now))"
  done
  say "$suite: $((SECONDS - began)) s (${times#, })"
  return "$failed"
}

# --- inside the namespaces -----------------------------------------------------------------------

inside() {
  suite=$1 work=$3
  root=$work/layer/root
  mkdir -p "$work/layer/upper" "$work/layer/scratch" "$root"
  mount -t overlay overlay \
    -o "lowerdir=$2,upperdir=$work/layer/upper,workdir=$work/layer/scratch" "$root"
  mount -t proc proc "$root/proc"
  ip link set lo up
  export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin
  cp "$work"/*.deb "$root/tmp/"
  log=$root/tmp/log
  : > "$log"
  before=$(sums)
  "$4"
}

in_root() { chroot "$root" "$@"; }
sums() { (cd "$root/etc/postfix" && sha256sum main.cf master.cf 2> /dev/null) || true; }
item() { in_root postconf -h smtpd_end_of_data_restrictions; }
is_registered() { grep -qF 'inet:127.0.0.1:12345' <<< "$(item)"; }
is_not_registered() { ! is_registered; }
ctl() { in_root mtpolicyctl "$@"; }

# Says what is promised, and whether it holds. The log is that of the step before.
check() {
  local words=$1
  shift
  if "$@" > "$root/tmp/check" 2>&1; then
    [ -z "${SHOW_LOG:-}" ] || sed 's/^/    | /' "$log"
    say "$suite: ok    $words"
  else
    say "$suite: FAIL  $words"
    { printf '%s\n' "--- $*"; cat "$root/tmp/check"; echo '--- the step before:'; tail -n 40 "$log"
      [ ! -s "$root/tmp/daemon" ] || { echo '--- the daemon:'; tail -n 10 "$root/tmp/daemon"; }
    } >&2
    exit 1
  fi
}

apt_get() { in_root apt-get -q -y --no-install-recommends -o APT::Sandbox::User=root "$@" > "$log" 2>&1; }
install_deb() { in_root dpkg -i "$@" > "$log" 2>&1; }
said() { grep -qF -- "$1" "$log"; }
same_sums() { diff <(printf '%s\n' "$before") <(sums); }
passes_check() { [ -z "$(in_root postfix check 2>&1)" ]; }
is_configured() { [ "$(in_root dpkg-query -W -f '${db:Status-Abbrev}' "$package")" = 'ii ' ]; }
needs_configuration() { [ "$(in_root dpkg-query -W -f '${db:Status-Abbrev}' "$package")" = 'iF ' ]; }

# What the package manager itself writes down is not the package's, nor what a Postfix writes.
files() {
  (cd "$root" && find . \( -path ./proc -o -path ./tmp -o -path ./var/lib/dpkg \
    -o -path ./var/lib/apt -o -path ./var/cache -o -path ./var/log -o -path ./run \
    -o -path ./var/spool/postfix -o -path ./var/lib/postfix -o -path ./var/mail -o -path ./dev/shm \
    \) -prune -o -print) |
    grep -Ev '^\./etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$|^\./etc/\.pwd\.lock$' | sort
}

start_daemon() {
  in_root install -d -o "$package" -g "$package" "/run/$package"
  # No function in between: the process id is to be the daemon's.
  chroot "$root" setpriv --reuid="$package" --regid="$package" --init-groups mtpolicyd -f \
    >> "$root/tmp/daemon" 2>&1 &
  daemon=$!
}
stop_daemon() { kill "$daemon" && wait "$daemon" || true; }

# As a Postfix would: one request, one answer, over TCP. PORT INSTANCE RECIPIENTS [USER]
ask() {
  exec 9<> "/dev/tcp/127.0.0.1/$1" || return 1
  printf '%s\n' request=smtpd_access_policy protocol_state=END-OF-MESSAGE "instance=$2" \
    sender=alice@example.org "recipient_count=$3" client_address=127.0.0.1 \
    "sasl_username=${4-alice}" '' >&9
  local answer
  IFS= read -r -t 10 answer <&9
  exec 9>&-
  printf '%s\n' "$answer"
}
answers() {
  local expected=$1 answer
  shift
  answer=$(ask "$@")
  # shellcheck disable=SC2053  # a pattern
  [[ $answer == $expected ]] || { printf '%s\n' "$answer"; return 1; }
}
comes_up() {
  local tries
  for tries in $(seq 100); do
    ! ask "${1:-12345}" "up$tries" 1 '' > /dev/null 2>&1 || return 0
    sleep 0.1
  done
  return 1
}

# One mail through port 25 of the Postfix in the tree; true if it is taken over.
mail_passes() {
  in_root postfix status > /dev/null 2>&1 || in_root postfix start > /dev/null 2>&1 || return 1
  exec 8<> /dev/tcp/127.0.0.1/25 || return 1
  local line reply
  for line in '' 'EHLO client.example.net' 'MAIL FROM:<a@example.net>' 'RCPT TO:<root@localhost>' \
    DATA $'Subject: test\r\n\r\nhello\r\n.'; do
    [ -z "$line" ] || printf '%s\r\n' "$line" >&8
    while IFS= read -r -t 20 reply <&8 && [ "${reply:3:1}" = - ]; do :; done
    case $reply in [23]*) ;; *) printf '%s\n' "$line: $reply"; return 1 ;; esac
  done
  exec 8>&-
}

# --- the scenarios -------------------------------------------------------------------------------

stock() {
  local files_before registered
  files_before=$(files)

  check 'installs beside a stock Postfix' apt_get install /tmp/package.deb
  check 'Postfix has its item' is_registered
  check 'postfix check is silent' passes_check
  for program in mtpolicyd mtpolicyctl policyd-client; do
    check "$program is a command" in_root sh -c "command -v $program"
  done
  start_daemon
  check 'the daemon answers, as its own user' comes_up
  check 'a request gets its answer' answers 'action=dunno' 12345 first 3
  check 'a mail passes Postfix' mail_passes

  registered=$(sums)
  check 'a reinstallation works' apt_get install --reinstall /tmp/quick.deb
  check 'and doubles nothing' [ "$(item | grep -o check_policy_service | wc -l)" = 1 ]

  check 'a limit is set' ctl set mtpolicyd/threshold=5
  check 'an upgrade works' apt_get install /tmp/next.deb
  stop_daemon
  start_daemon
  check 'the daemon answers after the upgrade' comes_up
  check 'the upgrade kept limit and counter' answers 'action=reject*' 12345 second 3
  check 'the upgrade kept the registration' [ "$(sums)" = "$registered" ]

  country_data
  check 'removal works' apt_get remove "$package"
  check 'main.cf and master.cf are byte for byte as before' same_sums
  check 'a mail passes after the removal' mail_passes
  stop_daemon

  check 'installs again' apt_get install /tmp/quick.deb
  check 'and is registered again' is_registered
  check 'an administrator takes it out' ctl postfix unregister
  check 'removal works' apt_get remove "$package"
  check 'installs once more' apt_get install /tmp/quick.deb
  check 'and leaves Postfix as the administrator has it' same_sums
  check 'purge works' apt_get purge "$package"
  check 'main.cf and master.cf are byte for byte as before' same_sums
  check 'no file is left, none is gone' diff <(printf '%s\n' "$files_before") <(files)
  check "no /run/$package" [ ! -e "$root/run/$package" ]
}

# A package with tor-geoipdb's files, of a given date. VERSION DATE
make_country_package() {
  local tree=$root/tmp/tor-geoipdb
  mkdir -p "$tree/DEBIAN" "$tree/usr/share/tor"
  printf '%s\n' 'Package: tor-geoipdb' "Version: $1" 'Architecture: all' \
    'Maintainer: nobody <nobody@example.org>' 'Description: for a test' > "$tree/DEBIAN/control"
  printf '%s\n' "# Generated: $2" '# Vendor: nobody' '# License: none' '3221225984,3221226239,DE' \
    > "$tree/usr/share/tor/geoip"
  printf '%s\n' "# Generated: $2" '# Vendor: nobody' '# License: none' '2001:db8::,2001:db8::1,DE' \
    > "$tree/usr/share/tor/geoip6"
  dpkg-deb -b "$tree" "$root/tmp/tor-geoipdb-$1.deb" > /dev/null
}

country_data() {
  local database=$root/var/lib/$package/country.mmdb
  make_country_package 1 'Thu, 25 Jun 2099 04:33:59 GMT'
  make_country_package 0 'Thu, 25 Jun 2009 04:33:59 GMT'
  check 'newer country data comes' install_deb /tmp/tor-geoipdb-1.deb
  check 'and is used' [ -s "$database" ]
  check 'status says so' grep -qF 'data of 2099-06-25' <(ctl status || true)
  check 'older country data comes' install_deb --force-downgrade /tmp/tor-geoipdb-0.deb
  check 'and is not preferred' [ ! -e "$database" ]
  check 'tor-geoipdb goes' in_root dpkg --purge tor-geoipdb
}

# Postfix and this package unpacked in one run of dpkg, this package configured first.
together() {
  in_root apt-get purge -q -y postfix > "$log" 2>&1
  check 'both are unpacked, Postfix not yet configured' \
    in_root sh -c "dpkg --unpack /root/postfix_*.deb /tmp/quick.deb && dpkg --no-triggers --configure $package"
  check 'dpkg goes on' in_root dpkg --configure -a
  check 'registered when Postfix was configured' is_registered
}

# What the administrator of Debian's mtpolicyd has: a quota of his own, at a port of his own.
taken_over() {
  local month key
  month=$(date +%Y-%m) key='`key` VARCHAR(255) NOT NULL, `time` VARCHAR(255) NOT NULL'
  cat > "$root/etc/mtpolicyd/mtpolicyd.conf" <<'END'
user=mtpolicyd
group=mtpolicyd
pid_file="/var/run/mtpolicyd/mtpolicyd.pid"
log_level=2
host=127.0.0.1
port="127.0.0.1:12350"
<Connection db>
  module = "Sql"
  dsn = "dbi:SQLite:dbname=/var/lib/mtpolicyd/mtpolicyd.sqlite"
</Connection>
<VirtualHost 12350>
  name = "quota"
  <Plugin acct>
    module = "Accounting"
    fields = "sasl_username"
  </Plugin>
  <Plugin quota>
    module = "Quota"
    field = "sasl_username"
    metric = "count"
    threshold = 100
    action = "defer quota of the month"
  </Plugin>
</VirtualHost>
END
  in_root perl -MDBI -e '
    my ($definition, $month) = @ARGV;
    my $db = DBI->connect("dbi:SQLite:dbname=/var/lib/mtpolicyd/mtpolicyd.sqlite", "", "", {RaiseError => 1});
    $db->do("CREATE TABLE acct_sasl_username (id INTEGER PRIMARY KEY AUTOINCREMENT, $definition, "
      . "`count` INT UNSIGNED NOT NULL, count_rcpt INT UNSIGNED NOT NULL, size INT UNSIGNED NOT NULL, "
      . "size_rcpt INT UNSIGNED NOT NULL)");
    $db->do("INSERT INTO acct_sasl_username VALUES (NULL, ?, ?, ?, 300, 1, 1)", {}, "alice", $month, 200);
  ' "$key" "$month"

  check "installs over Debian's mtpolicyd" apt_get install /tmp/quick.deb
  check 'says what is used' said 'used: /etc/mtpolicyd/mtpolicyd.conf, by a copy of it'
  check 'adds nothing to main.cf' same_sums
  start_daemon
  check 'answers at the port of before' comes_up 12350
  check 'the counter of before counts' answers 'action=defer quota of the month*' 12350 a 1
  check 'another user may go on' answers 'action=dunno' 12350 b 1 bob
  check 'status finds all well' ctl status
  check 'and says that the variables rest' grep -qF 'hand-written' <(ctl status)
  check 'the original is purged' apt_get purge mtpolicyd
  check 'its places are gone' [ ! -e "$root/etc/mtpolicyd" -a ! -e "$root/var/lib/mtpolicyd" ]
  check 'ours is installed still' is_configured
  check 'ours answers still' answers 'action=defer quota of the month*' 12350 c 1
  stop_daemon
  start_daemon
  check 'ours starts again' comes_up 12350
  check 'with the counter' answers 'action=defer quota of the month*' 12350 d 1
  check 'an upgrade works' apt_get install /tmp/next.deb
  check 'and leaves the taken-over configuration' \
    grep -qF 'quota of the month' "$root/etc/$package/mtpolicyd.conf"
  check 'removal works' apt_get remove "$package"
  check 'main.cf and master.cf are byte for byte as before' same_sums
}

# What Debian's mtpolicyd brings, which this version cannot do all of and which nobody decided on.
shipped_configuration() {
  check "installs over an unchanged mtpolicyd" apt_get install /tmp/quick.deb
  check 'says that its configuration is not used' said 'mtpolicyd.conf is as its package brought it'
  check 'keeps a copy of it' [ -s "$root/etc/$package/mtpolicyd.conf.from-mtpolicyd" ]
  check 'is registered' is_registered
  start_daemon
  check 'answers by the variables' comes_up
}

postfix_comes_last() {
  in_root apt-get purge -q -y postfix > "$log" 2>&1
  check 'installs without Postfix' install_deb /tmp/quick.deb
  check 'says that there is none' said 'there is no Postfix yet'
  check 'is configured' is_configured
  check 'Postfix comes' in_root sh -c 'dpkg -i /root/postfix_*.deb'
  check 'and is told to ask' is_registered
  check 'a mail passes' mail_passes
}

port_taken() {
  "$work/unpacked/usr/lib/$package/node" -e '
    require("node:net").createServer(socket => socket.on("data", () => {})).listen(12345, "127.0.0.1")
  ' &
  local other=$!
  check 'installs beside somebody on its port' install_deb /tmp/quick.deb
  check 'says so' said '127.0.0.1:12345'
  check 'is configured' is_configured
  check 'Postfix is not told to ask a stranger' same_sums
  check 'a mail passes' mail_passes
  kill "$other"
  check 'the next upgrade' install_deb /tmp/next.deb
  check 'registers, now that the port is free' is_registered
}

main_cf_read_only() {
  mount --bind "$root/etc/postfix" "$root/etc/postfix"
  mount -o remount,bind,ro "$root/etc/postfix"
  check 'installs with a main.cf that cannot be written' install_deb /tmp/quick.deb
  check 'says so' said 'not registered with Postfix'
  check 'is configured' is_configured
  check 'main.cf is as before' same_sums
  mount -o remount,bind,rw "$root/etc/postfix"
  start_daemon
  check 'the daemon answers' comes_up
  check 'registers by hand when that is mended' ctl postfix register
  check 'Postfix has its item' is_registered
  check 'a mail passes' mail_passes
  mount -o remount,bind,ro "$root/etc/postfix"
  check 'removal works with a main.cf that cannot be written' apt_get remove "$package"
  check 'says that Postfix may still ask' said 'Postfix may still ask'
  stop_daemon
  check 'a mail passes, though nobody answers' mail_passes
  mount -o remount,bind,rw "$root/etc/postfix"
  check 'installs again' install_deb /tmp/quick.deb
  check 'removal works' apt_get remove "$package"
  check 'main.cf and master.cf are byte for byte as before' same_sums
}

disk_full() {
  local place
  for place in "etc/$package" "var/lib/$package"; do
    mkdir -p "$root/$place"
    mount -t tmpfs -o size=16k,mode=755 tmpfs "$root/$place"
    dd if=/dev/zero of="$root/$place/filler" bs=4k 2> /dev/null || true
  done
  check 'installs on a full disk' install_deb /tmp/quick.deb
  check 'says what could not be done' said "$package:"
  check 'is configured' is_configured
  check 'a mail passes' mail_passes
  for place in "etc/$package" "var/lib/$package"; do umount "$root/$place"; done
  check 'the next upgrade works' install_deb /tmp/next.deb
  check 'Postfix asks in the end' ensure_registered
  start_daemon
  check 'the daemon answers' comes_up
  check 'purge works' apt_get purge "$package"
  check 'main.cf and master.cf are byte for byte as before' same_sums
}
ensure_registered() { is_registered || { ctl postfix register && is_registered; }; }

install_fails() { ! install_deb /tmp/quick.deb; }

no_user() {
  mount --bind "$root/etc/passwd" "$root/etc/passwd"
  mount -o remount,bind,ro "$root/etc/passwd"
  check 'without a place for its user it is not configured' install_fails
  check 'and says how to go on' said 'dpkg --configure -a'
  check 'dpkg knows' needs_configuration
  check 'main.cf is as before' same_sums
  check 'a mail passes' mail_passes
  umount "$root/etc/passwd"
  check 'dpkg goes on when that is mended' in_root dpkg --configure -a
  check 'Postfix has its item' is_registered
}

case ${1:-} in
  --inside) shift; inside "$@" ;;
  *) outside "$@" ;;
esac
