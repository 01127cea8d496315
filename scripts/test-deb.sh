#!/bin/bash
# Installs the .deb beside a stock Postfix in minimal systems, and tests what happens to packages:
# upgrades, a previous installation of Debian's mtpolicyd, full disks, removal.
#
#   scripts/test-deb.sh [--suites LIST] [--only LIST] [FILE.deb]
#
# Needs root. Suites: bookworm,trixie by default; jammy and noble if UBUNTU_MIRROR is set. --only names
# scenarios (see below). The default package is the newest in build/deb. Prints one line per check; a
# failure shows the log of its step and continues with the next scenario. At the end
# scripts/test-systemd.sh tests the same package in a booted system, if systemd-nspawn is available.
# The base systems (test-deb-base.sh) are kept. Every scenario works in an overlay on one of them, in
# namespaces of its own (mounts, network, processes): however this script ends, no mount, port or
# process is left.
set -euo pipefail

cache=${XDG_CACHE_HOME:-/var/cache}/univention-mtpolicyd-test
package=univention-mtpolicyd
scenarios=stock,together,taken_over,shipped_configuration,postfix_comes_last,port_taken
scenarios+=,main_cf_read_only,disk_full,no_user,file_rights,comes_back,another_user

say() { printf '%s\n' "test-deb: $*"; }
fail() { printf '%s\n' "test-deb: FAILED: $*" >&2; exit 1; }

# --- outside -------------------------------------------------------------------------------------

# The same package without compression, which installs three times as fast, and a newer version of it.
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
  [ -f "$deb" ] || fail 'there is no .deb: run make deb'
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
      77) say "$suite: SKIPPED, its mirror is unknown (set UBUNTU_MIRROR)" ;;
      *) say "$suite: SKIPPED, cannot create its base system"; failed=1 ;;
    esac
  done
  if [ "$only" = yes ]; then
    :
  elif [ ! -x scripts/test-systemd.sh ]; then
    say 'systemd: SKIPPED, scripts/test-systemd.sh is missing'
  elif ! command -v systemd-nspawn > /dev/null; then
    say 'systemd: SKIPPED, systemd-nspawn is not installed'
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

# Prints an expectation and whether it holds. On failure it shows the log of the previous step.
check() {
  local words=$1
  shift
  if "$@" > "$root/tmp/check" 2>&1; then
    [ -z "${SHOW_LOG:-}" ] || sed 's/^/    | /' "$log"
    say "$suite: ok    $words"
  else
    say "$suite: FAIL  $words"
    { printf '%s\n' "--- $*"; cat "$root/tmp/check"; echo '--- previous step:'; tail -n 40 "$log"
      [ ! -s "$root/tmp/daemon" ] || { echo '--- daemon:'; tail -n 10 "$root/tmp/daemon"; }
    } >&2
    exit 1
  fi
}

apt_get() { in_root apt-get -q -y --no-install-recommends -o APT::Sandbox::User=root "$@" > "$log" 2>&1; }
install_deb() { in_root dpkg -i "$@" > "$log" 2>&1; }
said() { grep -qF -- "$1" "$log"; }
not_said() { ! said "$@"; }
# The output of the command becomes that of the step.
fails() { ! "$@" > "$log" 2>&1; }
does() { "$@" > "$log" 2>&1; }
same_sums() { diff <(printf '%s\n' "$before") <(sums); }
passes_check() { [ -z "$(in_root postfix check 2>&1)" ]; }
is_configured() { [ "$(in_root dpkg-query -W -f '${db:Status-Abbrev}' "$package")" = 'ii ' ]; }
needs_configuration() { [ "$(in_root dpkg-query -W -f '${db:Status-Abbrev}' "$package")" = 'iF ' ]; }

# Leaves out files that the package manager or Postfix writes itself.
files() {
  (cd "$root" && find . \( -path ./proc -o -path ./tmp -o -path ./var/lib/dpkg \
    -o -path ./var/lib/apt -o -path ./var/cache -o -path ./var/log -o -path ./run \
    -o -path ./var/spool/postfix -o -path ./var/lib/postfix -o -path ./var/mail -o -path ./dev/shm \
    \) -prune -o -print) |
    grep -Ev '^\./etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$|^\./etc/\.pwd\.lock$' | sort
}

start_daemon() {
  in_root install -d -o "$package" -g "$package" "/run/$package"
  # Not through a function, so that the process id is the daemon's.
  chroot "$root" setpriv --reuid="$package" --regid="$package" --init-groups mtpolicyd -f \
    >> "$root/tmp/daemon" 2>&1 &
  daemon=$!
}
stop_daemon() { kill "$daemon" && wait "$daemon" || true; }

# One request and its answer over TCP, as from Postfix. PORT INSTANCE RECIPIENTS [USER]
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

# One mail through port 25 of the Postfix in the tree; true if it is accepted.
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
  check 'reinstallation works' apt_get install --reinstall /tmp/quick.deb
  check 'and adds no second item' [ "$(item | grep -o check_policy_service | wc -l)" = 1 ]

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
  check 'an administrator removes the item' ctl postfix unregister
  check 'removal works' apt_get remove "$package"
  check 'installs a third time' apt_get install /tmp/quick.deb
  check 'and leaves Postfix as the administrator has it' same_sums
  check 'purge works' apt_get purge "$package"
  check 'main.cf and master.cf are byte for byte as before' same_sums
  check 'no file is left over or missing' diff <(printf '%s\n' "$files_before") <(files)
  check "no /run/$package" [ ! -e "$root/run/$package" ]
}

# A package with tor-geoipdb's files, with a given date. VERSION DATE
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
  check 'newer country data is installed' install_deb /tmp/tor-geoipdb-1.deb
  check 'and is used' [ -s "$database" ]
  check 'status says so' grep -qF 'data of 2099-06-25' <(ctl status || true)
  check 'older country data is installed' install_deb --force-downgrade /tmp/tor-geoipdb-0.deb
  check 'and is not used' [ ! -e "$database" ]
  check 'tor-geoipdb is removed' in_root dpkg --purge tor-geoipdb
}

# Postfix and this package are unpacked in one run of dpkg, and this package is configured first.
together() {
  in_root apt-get purge -q -y postfix > "$log" 2>&1
  check 'both are unpacked, Postfix not yet configured' \
    in_root sh -c "dpkg --unpack /root/postfix_*.deb /tmp/quick.deb && dpkg --no-triggers --configure $package"
  check 'dpkg configures both' in_root dpkg --configure -a
  check 'registered when Postfix was configured' is_registered
}

# An administrator's configuration of Debian's mtpolicyd: a quota, on another port.
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
  check 'says what is used' said 'used: a copy of /etc/mtpolicyd/mtpolicyd.conf'
  check 'adds nothing to main.cf' same_sums
  start_daemon
  check 'answers on the former port' comes_up 12350
  check 'the former counter is used' answers 'action=defer quota of the month*' 12350 a 1
  check 'another user may still send' answers 'action=dunno' 12350 b 1 bob
  check 'status reports no problem' ctl status
  check 'and says that the variables rest' grep -qF 'hand-written' <(ctl status)
  check 'the original is purged' apt_get purge mtpolicyd
  check 'its directories are gone' [ ! -e "$root/etc/mtpolicyd" -a ! -e "$root/var/lib/mtpolicyd" ]
  check 'ours is still installed' is_configured
  check 'ours still answers' answers 'action=defer quota of the month*' 12350 c 1
  stop_daemon
  start_daemon
  check 'ours restarts' comes_up 12350
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
  check 'says that its configuration is not used' said 'mtpolicyd.conf is as its package shipped it'
  check 'keeps a copy of it' [ -s "$root/etc/$package/mtpolicyd.conf.from-mtpolicyd" ]
  check 'is registered' is_registered
  start_daemon
  check 'answers according to the variables' comes_up
}

postfix_comes_last() {
  in_root apt-get purge -q -y postfix > "$log" 2>&1
  check 'installs without Postfix' install_deb /tmp/quick.deb
  check 'says that there is no Postfix' said 'there is no Postfix yet'
  check 'is configured' is_configured
  check 'Postfix is installed' in_root sh -c 'dpkg -i /root/postfix_*.deb'
  check 'and the daemon is registered' is_registered
  check 'a mail passes' mail_passes
}

port_taken() {
  "$work/unpacked/usr/lib/$package/node" -e '
    require("node:net").createServer(socket => socket.on("data", () => {})).listen(12345, "127.0.0.1")
  ' &
  local other=$!
  check 'installs while another program uses its port' install_deb /tmp/quick.deb
  check 'says so' said '127.0.0.1:12345'
  check 'is configured' is_configured
  check 'the other program is not registered with Postfix' same_sums
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
  check 'registers by hand once that is fixed' ctl postfix register
  check 'Postfix has its item' is_registered
  check 'a mail passes' mail_passes
  mount -o remount,bind,ro "$root/etc/postfix"
  check 'removal works with a main.cf that cannot be written' apt_get remove "$package"
  check 'says that Postfix may still query it' said 'Postfix may still query'
  stop_daemon
  check 'a mail passes although the daemon is gone' mail_passes
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
  check 'Postfix queries the daemon in the end' ensure_registered
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
  check 'without its user it is not configured' install_fails
  check 'and says how to continue' said 'dpkg --configure -a'
  check 'dpkg lists it as not configured' needs_configuration
  check 'main.cf is as before' same_sums
  check 'a mail passes' mail_passes
  umount "$root/etc/passwd"
  check 'dpkg continues once that is fixed' in_root dpkg --configure -a
  check 'Postfix has its item' is_registered
}

# --- permissions, links, leftovers -----------------------------------------------------------------

as_user() {
  local user=$1
  shift
  in_root setpriv --reuid="$user" --regid="$user" --init-groups "$@"
}
under_umask() { in_root sh -c 'umask "$1"; shift; exec "$@"' sh "$@" > "$log" 2>&1; }
is_like() { [ "$(in_root stat -c '%U:%G %a' "$1")" = "$2" ]; }
leads_to() { [ "$(readlink "$root/$1")" = "$2" ] && grep -q "$3" "$root/$2"; }
restarts() { stop_daemon; start_daemon; comes_up; }

# The daemon can read what it needs, and other users cannot read what is private.
is_for_the_daemon_alone() {
  local path
  for path in "etc/$package/mtpolicyd.conf" "etc/$package/registry/base.conf" \
    "etc/$package/conf.d" "var/lib/$package/country.mmdb"; do
    as_user "$package" test -r "/$path" || { printf '%s\n' "$path"; return 1; }
  done
  ! as_user nobody ls "/var/lib/$package"
}

file_rights() {
  local files_before etc=$root/etc/$package
  # If systemd's directory exists, there is a drop-in, too.
  mkdir -p "$root/etc/systemd/system"
  files_before=$(files)
  check 'installs under umask 077' under_umask 077 dpkg -i /tmp/quick.deb
  check 'is registered' is_registered
  check 'there is a directory for additions' [ -d "$etc/conf.d" ]
  start_daemon
  check 'the daemon answers' comes_up

  make_country_package 1 'Thu, 25 Jun 2099 04:33:59 GMT'
  rm -r "$etc/mtpolicyd.conf" "$etc/registry"
  check 'country data is installed under umask 077' under_umask 077 dpkg -i /tmp/tor-geoipdb-1.deb
  check 'everything is rendered again under umask 077' under_umask 077 mtpolicyctl commit
  check 'a limit is set under umask 077' under_umask 077 mtpolicyctl set mtpolicyd/threshold=5 ucr/replog/enabled=yes
  check 'the daemon can read its files, and nobody else the counts' is_for_the_daemon_alone
  check 'the daemon restarts' restarts
  check 'and applies the limit' answers 'action=reject*' 12345 mode 6

  links
  unreadable_files
  dpkg_statoverride
  stop_daemon
  check 'purge works' apt_get purge "$package"
  check 'no log is left' [ ! -e "$root/var/log/$package" ]
  in_root dpkg --purge tor-geoipdb > "$log" 2>&1
  rm -r "$root/srv/checkout"
  check 'no file is left over or missing' diff <(printf '%s\n' "$files_before") <(files)
  check 'a second purge finds nothing to do' in_root dpkg --purge "$package"
}

links() {
  local name drop_in=etc/systemd/system/$package.socket.d/listen.conf
  mkdir "$root/srv/checkout"
  for name in "etc/$package/mtpolicyd.conf" "etc/$package/registry/base.conf" "$drop_in"; do
    mv "$root/$name" "$root/srv/checkout/"
    ln -s "/srv/checkout/${name##*/}" "$root/$name"
  done
  check 'a limit is set where all files are links' ctl set mtpolicyd/threshold=7 mtpolicyd/host=127.0.0.2
  check 'the configuration is still a link' leads_to "etc/$package/mtpolicyd.conf" /srv/checkout/mtpolicyd.conf 'threshold = 7'
  check 'so is the registry' leads_to "etc/$package/registry/base.conf" /srv/checkout/base.conf 'threshold: 7'
  check 'and so is the drop-in for systemd' leads_to "$drop_in" /srv/checkout/listen.conf '127.0.0.2'
  mount --bind "$root/srv/checkout/mtpolicyd.conf" "$root/srv/checkout/mtpolicyd.conf"
  check 'back to the old address, where a file cannot be renamed over' ctl unset mtpolicyd/host
  umount "$root/srv/checkout/mtpolicyd.conf"
  check 'it has changed' fails grep -q 127.0.0.2 "$root/srv/checkout/mtpolicyd.conf"
}

unreadable_files() {
  local piece=$etc/conf.d/own.conf defaults=$root/etc/default/$package
  (umask 077; echo '# mine' > "$piece")
  check 'check reports what the daemon cannot read' fails ctl check
  check 'by name' said 'conf.d/own.conf": permission denied (the daemon runs as'
  check 'set reports it, too' fails ctl set mtpolicyd/port=12399
  check 'and changes nothing' said 'nothing was stored or changed'
  rm "$piece"
  check 'a country database that only root can read is rejected' fails ctl set mtpolicyd/geoip/database=/root/country.mmdb
  (umask 077; cp "$root/var/lib/$package/country.mmdb" "$root/root/own.mmdb")
  check 'also if it exists' fails ctl set mtpolicyd/geoip/database=/root/own.mmdb
  check 'with the reason' said 'the daemon runs as'
  rm "$root/root/own.mmdb"
  (umask 077; echo MTPOLICYD_THRESHOLD=3 > "$defaults")
  check 'check reports defaults that only root can read' fails ctl check
  check 'by name' said "/etc/default/$package:1:1: error: cannot be read"
  rm "$defaults"
  chmod 600 "$root/srv/checkout/base.conf"
  check 'check warns about a registry that only root can read' does ctl check
  check 'by name' said 'registry/base.conf'
  check 'and the daemon starts all the same' restarts
  check 'with the rendered configuration' answers 'action=dunno' 12345 mode2 1
  chmod 644 "$root/srv/checkout/base.conf"
  check 'then check reports nothing' does ctl check
}

dpkg_statoverride() {
  local state=/var/lib/$package
  in_root groupadd -r mon
  in_root dpkg-statoverride --update --add "$package" mon 2750 "$state"
  in_root dpkg-statoverride --update --add root "$package" 750 "/etc/$package"
  check 'an upgrade works' install_deb /tmp/next.deb
  check 'and leaves the state directory as set by dpkg-statoverride' is_like "$state" "$package:mon 2750"
  check 'and /etc' is_like "/etc/$package" "root:$package 750"
  check 'the daemon restarts' restarts
  check 'registers with Postfix under umask 077' under_umask 077 mtpolicyctl postfix register
  check 'and Postfix can read its main.cf' is_like /etc/postfix/main.cf 'root:root 644'
  rm "$root/srv/checkout/mtpolicyd.conf"
  check 'a deleted file is rendered again at the target of its link' does ctl commit
  check 'and the link is kept' leads_to "etc/$package/mtpolicyd.conf" /srv/checkout/mtpolicyd.conf 'threshold = 7'
  chmod 700 "$root/etc/$package/conf.d"
  check 'an upgrade while the daemon cannot read a directory' install_deb --force-downgrade /tmp/quick.deb
  check 'says so' said 'conf.d/*.conf": permission denied (the daemon runs as'
  rmdir "$root/etc/$package/conf.d"
  in_root dpkg-statoverride --remove "$state"
  in_root dpkg-statoverride --remove "/etc/$package"
  in_root groupdel mon
}

# --- Postfix and this package are removed and installed again --------------------------------------------------------

both_go() { in_root dpkg -r postfix > "$log" 2>&1 && in_root dpkg -r "$package" >> "$log" 2>&1; }
both_come() { in_root sh -c 'dpkg -i /root/postfix_*.deb /tmp/quick.deb' > "$log" 2>&1; }
postfix_is_new() {
  in_root apt-get purge -q -y postfix > "$log" 2>&1 && in_root sh -c 'dpkg -i /root/postfix_*.deb' > "$log" 2>&1
}
mail_is_deferred() {
  local answer
  answer=$(mail_passes) && return 1
  [[ $answer = *': 4'* ]] || { printf '%s\n' "$answer"; return 1; }
}

comes_back() {
  check 'installs' install_deb /tmp/quick.deb
  check 'is registered' is_registered
  check 'Postfix is removed, then this package' both_go
  check 'both are installed again' both_come
  check 'and the daemon is registered again' is_registered

  in_root postconf -X smtpd_end_of_data_restrictions
  check 'an administrator removes our item by hand; both are removed' both_go
  check 'both are installed again' both_come
  check 'and Postfix is as the administrator left it' is_not_registered

  check 'registered by hand' ctl postfix register
  check 'Postfix is purged and installed again' postfix_is_new
  check 'and warns that Postfix does not query it' said 'WARNING: the registration with Postfix'
  check 'and how to register again' said 'mtpolicyctl postfix register'
  check 'the daemon is not registered automatically' is_not_registered
  check 'the next upgrade' install_deb /tmp/next.deb
  check 'warns again' said 'WARNING: the registration with Postfix'
  check 'registered by hand' ctl postfix register
  chown 1:1 "$root/var/lib/$package/postfix.json"
  check 'an upgrade with a record that belongs to another user' install_deb --force-downgrade /tmp/quick.deb
  check 'says so' said 'is not trusted'
  check 'and not about Postfix, which queries it' not_said WARNING
  check 'then registering works' ctl postfix register
  administrators_item
}

administrators_item() {
  in_root postconf -e 'smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:12345, permit_mynetworks, reject_unauth_destination'
  check 'removal while an administrator has an item of their own' apt_get remove "$package"
  check 'says that mail will be deferred' grep -qi 'deferred' "$log"
  check 'and does not say that it passes' not_said 'passes mail'
  check 'and names the place' said smtpd_recipient_restrictions
  check 'and mail is deferred' mail_is_deferred
}

# --- another user id, an existing user ----------------------------------------------------------------

another_user() {
  local state=$root/var/lib/$package id
  in_root useradd -r -g mail -d /nonexistent -s /bin/sh "$package"
  check 'installs if the user already exists, in another group' install_deb /tmp/quick.deb
  check 'is registered' is_registered
  check 'the state directory is its own' is_like "/var/lib/$package" "$package:mail 750"
  check 'removal works' apt_get remove "$package"
  in_root userdel "$package"
  check 'installs with a user of its own' install_deb /tmp/quick.deb
  check 'a limit is set' ctl set mtpolicyd/threshold=5
  start_daemon
  check 'the daemon answers' comes_up
  check 'and counts' answers 'action=dunno' 12345 first 4
  stop_daemon

  check 'removal works' apt_get remove "$package"
  id=$(in_root id -u "$package")
  in_root userdel "$package"
  in_root useradd -r -u "$id" -U other
  ln -s /etc/shadow "$state/link"
  as_user other sh -c "echo mine > /tmp/mine && ln /tmp/mine /var/lib/$package/mine"
  check 'installs if another user has got its id' install_deb /tmp/quick.deb
  check 'no link is followed' is_like /etc/shadow 'root:shadow 640'
  check 'a file with another hard link is left alone' is_like /tmp/mine 'other:other 644'
  start_daemon
  check 'the daemon answers' comes_up
  check 'with the former counts' answers 'action=reject*' 12345 second 2
  stop_daemon

  in_root chown -hR root:root "/var/lib/$package"
  check 'an upgrade after a restore as root' install_deb /tmp/next.deb
  check 'root keeps its record' is_like "/var/lib/$package/postfix.json" 'root:root 600'
  start_daemon
  check 'the daemon answers' comes_up
  check 'and has its counts' answers 'action=reject*' 12345 third 2
  check 'and status reports no problem' does ctl status
}

case ${1:-} in
  --inside) shift; inside "$@" ;;
  *) outside "$@" ;;
esac
