/**
 * Is what was counted what Postfix took over? A real Postfix, many clients at once that behave as
 * clients do (clients.ts), a milter that refuses some of the messages after our daemon has accepted
 * them, several limits that count all of it in windows of their own (policy.ts), and a daemon that is
 * killed every few seconds while another process holds its listening socket, as systemd does.
 *
 * Counts are read from the ledger after an orderly stop; what was queued is read from Postfix's log.
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Counts, countedIn, queuedByLogin, sumsBy } from '../support/counted.ts'
import { freePort } from '../support/daemon.ts'
import { startMilter } from '../support/milter.ts'
import { createPostfixRig, type PostfixRig } from '../support/postfix-rig.ts'
import { sendMail } from '../support/smtp-client.ts'
import { startTinySystemd, type TinySystemd } from '../support/tiny-systemd.ts'
import { type Clients, mailClients, UNKNOWN } from './clients.ts'
import { COUNTERS, type Counter, counters, LAST, LOGINS, policyText } from './policy.ts'

export interface ExactOptions {
  /** Accepted by Postfix at RCPT; the run ends when so many were. */
  readonly recipients: number
  /** At the same time. */
  readonly clients: number
  /**
   * From when the daemon is ready; the first time when a tenth of them was accepted. Undefined: it is never
   * killed.
   */
  readonly killEveryMilliseconds: number | undefined
  /** The same number gives the same mix; what happens at the same time differs. */
  readonly seed: number
}

export interface ExactResult {
  readonly messages: number
  /** Recipients. */
  readonly queued: number
  /** Messages that the milter refused. */
  readonly filtered: number
  readonly kills: number
  readonly counters: readonly CounterResult[]
  /** How the messages ended, by the client's intention. */
  readonly endings: Readonly<Record<string, number>>
  readonly seconds: number
}

/** All in recipients but `refused`. */
export interface CounterResult {
  readonly counter: Counter
  readonly counted: number
  /** Queued without being counted, of all subjects together. */
  readonly lost: number
  /** Counted without being queued. */
  readonly surplus: number
  /** The one whose limit lies below what is sent in its name. */
  readonly limited: {
    readonly subject: string
    readonly limit: number
    readonly queued: number
    /** Messages. */
    readonly refused: number
  }
}

/** The daemon's line about a message that is no longer counted. */
const GIVEN_BACK = (login: string): string => `given back user=${login} `

/** As RestartSec= of our unit. */
export const RESTART_MILLISECONDS = 300

export async function runExact(options: ExactOptions): Promise<ExactResult> {
  const { recipients, seed } = options
  // Each of them tries to send a twelfth of the mail, or two; a quarter of a twelfth may pass.
  const limit = Math.max(10, Math.floor(recipients / LOGINS.length / 4))
  const root = mkdtempSync(join(tmpdir(), 'exact-'))
  const port = await freePort()
  const milter = await startMilter()
  const rig = await createPostfixRig({
    users: [...LOGINS, LAST],
    mainCf: [
      `smtpd_recipient_restrictions = check_recipient_access inline:{${UNKNOWN}=REJECT}`,
      'smtpd_end_of_data_restrictions =',
      // On the slowest machine, too, the daemon is ready again before that.
      `  check_policy_service { inet:127.0.0.1:${port}, default_action=DUNNO, timeout=60s }`,
      `smtpd_milters = ${milter.address}`,
      'enable_long_queue_ids = yes',
      'default_process_limit = 150',
    ].join('\n'),
  })
  const etc = join(root, 'etc/univention-mtpolicyd')
  mkdirSync(etc, { recursive: true })
  writeFileSync(
    join(etc, 'mtpolicyd.conf'),
    policyText({ port, maillog: join(rig.directory, 'mail.log'), limit }),
  )
  const systemd = startTinySystemd(root, [`127.0.0.1:${port}`], ['--root', root, '-f'], {
    restartMilliseconds: RESTART_MILLISECONDS,
  })
  try {
    await rig.start()
    systemd.start()
    await systemd.hear('READY=1')
    const startedAt = Date.now()
    const clients = mailClients(rig, recipients, seed)
    const kills = await send(options, clients, systemd)
    const seconds = (Date.now() - startedAt) / 1000
    // Whoever hung up without a goodbye may still be on its way into the queue.
    const queued = await queuedAtLast(rig)
    await systemd.hearTimes('READY=1', kills + 1)
    await untilFollowed(rig, systemd)
    systemd.stop()
    await systemd.hearTimes('ended ', kills + 1)
    const ledger = join(root, 'var/lib/univention-mtpolicyd/ledger.sqlite')
    return {
      messages: clients.messages,
      queued: sumOf(queued),
      filtered: filteredMessages(rig),
      kills,
      counters: counters.map(counter => {
        const { limited: subject, subjectOf, window } = COUNTERS[counter]
        const expected = sumsBy(queued, subjectOf)
        const subjects = new Set([...LOGINS, LAST].map(subjectOf))
        const counted = countedIn(ledger, { counter, window, subjects, since: startedAt })
        const refused = [...clients.refused]
          .filter(([login]) => subjectOf(login) === subject)
          .reduce((sum, [, messages]) => sum + messages, 0)
        const limited = { subject, limit, queued: expected.get(subject) ?? 0, refused }
        return { counter, counted: sumOf(counted), ...differences(expected, counted), limited }
      }),
      endings: clients.endings,
      seconds,
    }
  } finally {
    await rig.remove()
    await milter.close()
    await systemd.end()
    rmSync(root, { recursive: true, force: true })
  }
}

/** Returns how often the daemon was killed meanwhile. */
async function send(
  { clients: count, killEveryMilliseconds }: ExactOptions,
  clients: Clients,
  systemd: TinySystemd,
): Promise<number> {
  const over = Promise.all(Array.from({ length: count }, () => clients.run())).then(() => true)
  const kills =
    killEveryMilliseconds === undefined
      ? 0
      : await killAgainAndAgain(systemd, clients.tenth, over, killEveryMilliseconds)
  await over
  return kills
}

/** Kills the daemon until the work is over, each time once it is ready again; returns how often. */
async function killAgainAndAgain(
  systemd: TinySystemd,
  first: Promise<void>,
  over: Promise<boolean>,
  everyMilliseconds: number,
): Promise<number> {
  // However fast the work is, it is not over before its tenth.
  await Promise.race([first, over])
  for (let kills = 0; ; ) {
    process.kill(Number([...systemd.said.matchAll(/^started (\d+)$/gm)].at(-1)?.[1]), 'SIGKILL')
    kills++
    // Postfix sends a request twice at most: a daemon that is killed as soon as it is ready answers none.
    const again = systemd.hearTimes('READY=1', kills + 1).then(() => sleep(everyMilliseconds))
    if (await Promise.race([over, again.then(() => false)])) return kills
  }
}

const sumOf = (counts: Counts): number =>
  [...counts.values()].reduce((sum, count) => sum + count, 0)

function differences(expected: Counts, counted: Counts): { lost: number; surplus: number } {
  let lost = 0
  let surplus = 0
  for (const subject of new Set([...expected.keys(), ...counted.keys()])) {
    const difference = (counted.get(subject) ?? 0) - (expected.get(subject) ?? 0)
    if (difference < 0) lost -= difference
    else surplus += difference
  }
  return { lost, surplus }
}

/** Recipients by login, once every client is gone and the log has had nothing new for a while. */
async function queuedAtLast(rig: PostfixRig): Promise<Counts> {
  let before = -1
  for (let tries = 0; tries < 100; tries++) {
    await sleep(1000)
    const log = rig.log()
    const [came, went] = [/: connect from /g, /: disconnect from /g].map(
      pattern => log.match(pattern)?.length ?? 0,
    )
    if (came === went && log.length === before) return queuedByLogin(log)
    before = log.length
  }
  throw new Error('Postfix’s log does not come to rest')
}

/** Messages that the milter refused after our daemon had accepted them. */
function filteredMessages(rig: PostfixRig): number {
  return rig.log().match(/cleanup\[\d+\]: \w+: milter-reject: END-OF-MESSAGE /g)?.length ?? 0
}

/** Until the daemon has read in Postfix's log what the milter refused last. */
async function untilFollowed(rig: PostfixRig, systemd: TinySystemd): Promise<void> {
  const { accepted } = await sendMail({
    port: rig.ports.submission,
    user: LAST,
    password: rig.password,
    from: 'last@example.org',
    to: 'last@example.net',
    message: 'Subject: reject\n\nthe last one\n',
  })
  if (accepted) throw new Error('the milter let the last message through')
  await systemd.hear(GIVEN_BACK(LAST))
}
