/**
 * systemd's own journald and journalctl, in a mount namespace of their own, as the unit has them: a /proc
 * that shows processes only, and a user who is allowed to read the journal by a group.
 */

import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const JOURNALD = '/lib/systemd/systemd-journald'
const missing =
  process.getuid?.() !== 0 || !existsSync(JOURNALD) || spawnSync('journalctl', ['--version']).error
const skip = missing ? 'needs root, systemd-journald and journalctl' : false

const PROGRAM = `
import { followJournal } from '${join(import.meta.dirname, '../../daemon/maillog/follow-journal.ts')}'
import { lineParser } from '${join(import.meta.dirname, '../../daemon/maillog/parser.ts')}'
import { systemClock } from '${join(import.meta.dirname, '../../daemon/system/clock.ts')}'
const parse = lineParser({ now: Date.now })
const following = followJournal({
  programs: ['smtpd', 'cleanup'],
  clock: systemClock,
  take(lines) {
    for (const line of lines) {
      const { kind, queueId, program, pid } = parse(line) ?? {}
      console.log('record', kind, queueId, program, typeof pid)
    }
  },
})
const looking = setInterval(() => {
  if (following.problem) console.log('problem', following.problem)
}, 200)
process.stdin.on('data', () => {}).on('end', async () => {
  clearInterval(looking)
  await following.stop()
  console.log('stopped')
})
`

/** Logs as a process of that name does. */
const LOG = `
my ($name, $text) = @ARGV;
open(my $comm, '>', '/proc/self/comm') or die; print $comm $name; close($comm);
use Socket;
socket(my $s, PF_UNIX, SOCK_DGRAM, 0); connect($s, sockaddr_un('/run/systemd/journal/dev-log')) or die;
send($s, "<22>Nov 30 21:00:00 $text", 0); select(undef, undef, undef, 0.5);
`

const SCRIPT = `
mount -t tmpfs tmpfs /run && mkdir -p /run/log/journal /run/systemd/journal
${JOURNALD} & journald=$!
for i in $(seq 50); do test -S /run/systemd/journal/dev-log && break; sleep 0.1; done
logs() { perl -e "$LOG" "$@"; }
logs cleanup 'postfix/cleanup[7]: ABCDEF0001: milter-reject: END-OF-MESSAGE from h[192.0.2.7]: 5.7.1 no; from=<a>'
logs smtp 'postfix/smtp[7]: ABCDEF0002: to=<b>, relay=x, dsn=2.0.0, status=sent (ok)'
logs mallory 'postfix/cleanup[7]: ABCDEF0003: milter-reject: END-OF-MESSAGE from h[192.0.2.7]: 5.7.1 no; from=<a>'
chgrp -R systemd-journal /run/log/journal && chmod 2755 /run/log/journal /run/log/journal/*
mount -t proc -o subset=pid,hidepid=2 proc /proc
mkfifo /run/in
setpriv --reuid=65534 --regid=65534 --groups="$(getent group systemd-journal | cut -d: -f3)" \\
  --no-new-privs env -u NODE_OPTIONS "$NODE" --input-type=module-typescript -e "$PROGRAM" < /run/in & node=$!
exec 9> /run/in
sleep 2
umount /proc
logs smtpd 'mta-out/smtpd[8]: ABCDEF0004: client=h[192.0.2.7]'
sleep 2
exec 9>&-
wait $node
kill $journald
`

t.test('the journal of systemd is read as the unit may read it', { skip }, async t => {
  const child = spawn('unshare', ['--mount', 'bash', '-c', SCRIPT], {
    env: { ...process.env, NODE: process.execPath, PROGRAM, LOG },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    said += text
  })
  let complaints = ''
  child.stderr.setEncoding('utf8').on('data', text => {
    complaints += text
  })
  await new Promise(resolve => child.once('close', resolve))
  t.strictSame(said.trim().split('\n'), [
    // Not what a program of another name logs.
    'record milter-reject ABCDEF0001 cleanup number',
    'record client ABCDEF0004 smtpd number',
    'stopped',
  ])
  if (!said.includes('stopped')) t.comment(complaints)
})
