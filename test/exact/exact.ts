/**
 * Is what was counted what Postfix took over? A real Postfix, many clients at once that behave as
 * clients do (refused recipients, RSET, hanging up in every place, DATA and BDAT, several messages
 * per connection), and a daemon that is killed every few seconds while another process holds its
 * listening socket, as systemd does.
 *
 * Counts are read from the ledger after an orderly stop; what was queued is read from Postfix's log.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { dist, freePort, runProgram } from '../support/daemon.ts'
import { ledgerSums } from '../support/ledger-sums.ts'
import { createPostfixRig, type PostfixRig } from '../support/postfix-rig.ts'
import { connectSmtp, type SmtpClient } from '../support/smtp-client.ts'
import { startTinySystemd } from '../support/tiny-systemd.ts'

export interface ExactOptions {
  /** Accepted by Postfix at RCPT; the run ends when so many were. */
  readonly recipients: number
  /** At the same time. */
  readonly clients: number
  /** Undefined: the daemon is never killed. */
  readonly killEveryMilliseconds: number | undefined
  /** The same number gives the same mix; what happens at the same time differs. */
  readonly seed: number
}

export interface ExactResult {
  readonly messages: number
  readonly queued: number
  readonly counted: number
  readonly kills: number
  /** Queued without being counted, of all users together. */
  readonly lost: number
  /** Counted without being queued. */
  readonly surplus: number
  /** The account whose limit lies below what is sent in its name. */
  readonly limited: { readonly limit: number; readonly queued: number; readonly refused: number }
  /** How the messages ended, by the client's intention. */
  readonly endings: Readonly<Record<string, number>>
  readonly seconds: number
}

/** As RestartSec= of our unit. */
export const RESTART_MILLISECONDS = 300

const USERS = 12
/** `user0` may send less than is tried in its name. */
const LIMITED = 'user0'
const MOST_RECIPIENTS = 10
const MOST_MESSAGES = 5

type Ending = 'DATA' | 'BDAT' | 'RSET' | 'hang up' | 'hang up in the message' | 'no goodbye'

/** In per cent, one after the other. */
const ENDINGS: readonly (readonly [Ending, number])[] = [
  ['DATA', 50],
  ['BDAT', 28],
  ['RSET', 8],
  ['hang up', 5],
  ['hang up in the message', 5],
  ['no goodbye', 4],
]

export async function runExact(options: ExactOptions): Promise<ExactResult> {
  const { clients, killEveryMilliseconds } = options
  // About a twelfth of the mail is tried as this user; a quarter of that may pass.
  const limit = Math.max(10, Math.floor(options.recipients / USERS / 4))
  const root = mkdtempSync(join(tmpdir(), 'exact-'))
  const port = await freePort()
  const set = await runProgram(
    join(dist, 'mtpolicyctl'),
    ...['--root', root, 'set', `mtpolicyd/port=${port}`, 'mtpolicyd/threshold=unlimited'],
    `mtpolicyd/user/${LIMITED}^40mail.example.org/threshold=${limit}`,
  )
  if (set.status !== 0) throw new Error(set.stderr)
  const rig = await createPostfixRig({
    users: Array.from({ length: USERS }, (_, i) => `user${i}`),
    mainCf: [
      'smtpd_recipient_restrictions = check_recipient_access inline:{unknown@example.net=REJECT}',
      'smtpd_end_of_data_restrictions =',
      `  check_policy_service { inet:127.0.0.1:${port}, default_action=DUNNO, timeout=5s }`,
      'enable_long_queue_ids = yes',
      'default_process_limit = 150',
    ].join('\n'),
  })
  const systemd = startTinySystemd(root, [`127.0.0.1:${port}`], ['--root', root, '-f'], {
    restartMilliseconds: RESTART_MILLISECONDS,
  })
  const run = newRun(rig, options)
  try {
    systemd.start()
    await systemd.hear('READY=1')
    await rig.start()
    const startedAt = performance.now()
    let kills = 0
    const work = Promise.all(Array.from({ length: clients }, () => run.client()))
    let isOver = false
    const over = work.finally(() => {
      isOver = true
    })
    while (killEveryMilliseconds !== undefined && !isOver) {
      await Promise.race([sleep(killEveryMilliseconds), over])
      if (isOver) break
      process.kill(Number([...systemd.said.matchAll(/^started (\d+)$/gm)].at(-1)?.[1]), 'SIGKILL')
      kills++
    }
    await over
    const seconds = (performance.now() - startedAt) / 1000
    // Whoever hung up without a goodbye may still be on its way into the queue.
    const queued = await untilQuiet(rig)
    systemd.stop()
    await systemd.hearTimes('ended ', kills + 1)
    const counted = ledgerSums(join(root, 'var/lib/univention-mtpolicyd/ledger.sqlite'))
    let lost = 0
    let surplus = 0
    for (const user of new Set([...queued.keys(), ...counted.keys()])) {
      const difference = (counted.get(user) ?? 0) - (queued.get(user) ?? 0)
      if (difference < 0) lost -= difference
      else surplus += difference
    }
    return {
      messages: run.messages,
      queued: sumOf(queued),
      counted: sumOf(counted),
      kills,
      lost,
      surplus,
      limited: {
        limit,
        queued: queued.get(rig.login(LIMITED)) ?? 0,
        refused: run.refused,
      },
      endings: run.endings,
      seconds,
    }
  } finally {
    await rig.remove()
    await systemd.end()
    rmSync(root, { recursive: true, force: true })
  }
}

const sumOf = (counts: ReadonlyMap<string, number>): number =>
  [...counts.values()].reduce((sum, count) => sum + count, 0)

interface Run {
  /** One client after the other, until enough recipients were accepted. */
  client(): Promise<void>
  readonly messages: number
  /** Messages refused at their end. */
  readonly refused: number
  readonly endings: Record<string, number>
}

function newRun(rig: PostfixRig, { recipients, seed }: ExactOptions): Run {
  const below = randomSource(seed)
  const endings: Record<string, number> = {}
  let accepted = 0
  let messages = 0
  let refused = 0
  let address = 0

  function ending(): Ending {
    let rest = below(100)
    for (const [name, share] of ENDINGS) {
      if (rest < share) return name
      rest -= share
    }
    return 'DATA'
  }

  /** One message; false: the connection is gone. */
  async function message(client: SmtpClient, user: string): Promise<boolean> {
    await client.mail(`${user}@example.org`)
    const count = 1 + below(MOST_RECIPIENTS)
    let taken = 0
    for (let i = 0; i < count; i++) {
      const isKnown = below(10) > 0
      const reply = await client.rcpt(
        isKnown ? `to${address++}@example.net` : 'unknown@example.net',
      )
      if (reply.code === 250) taken++
    }
    accepted += taken
    const how = ending()
    endings[how] = (endings[how] ?? 0) + 1
    messages++
    if (how === 'RSET' || taken === 0) {
      await client.rset()
      return true
    }
    if (how === 'hang up') return false
    if (how === 'hang up in the message') {
      await client.command('DATA')
      client.write('Subject: half of it\r\n\r\nhel')
      return false
    }
    const text = `Subject: test\r\n\r\n${'hello '.repeat(below(200))}\r\n`
    if (how === 'no goodbye') {
      await client.command('DATA')
      client.write(`${text}.\r\n`)
      // Postfix has the end of the message, and nobody waits for what it says.
      await sleep(5)
      return false
    }
    const last = how === 'BDAT' ? await client.bdat(text) : await client.data(text)
    if (last.code === 554) refused++
    else if (last.code !== 250) throw new Error(`${how}: ${last.code} ${last.text}`)
    return true
  }

  return {
    endings,
    get messages() {
      return messages
    },
    get refused() {
      return refused
    },
    async client() {
      while (accepted < recipients) {
        const client = await connectSmtp({ port: rig.ports.submission, timeoutMs: 60_000 })
        const user = `user${below(USERS)}`
        await client.ehlo()
        const login = await client.authPlain(rig.login(user), rig.password)
        if (login.code !== 235) throw new Error(`${login.code} ${login.text}`)
        let isOpen = true
        for (let i = 1 + below(MOST_MESSAGES); isOpen && i > 0; i--) {
          isOpen = await message(client, user)
        }
        if (isOpen) await client.quit()
        else client.close()
      }
    },
  }
}

/** xorshift32: a whole number from 0 to limit - 1. */
function randomSource(seed: number): (limit: number) => number {
  let state = seed | 1
  return limit => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % limit
  }
}

/** Recipients queued by user, once the log has had nothing new for a while. */
async function untilQuiet(rig: PostfixRig): Promise<Map<string, number>> {
  let before = -1
  for (let tries = 0; tries < 60; tries++) {
    await sleep(1000)
    const log = rig.log()
    if (log.length === before) return readQueue(log)
    before = log.length
  }
  throw new Error('Postfix’s log does not come to rest')
}

/** smtpd says whose message it is, the queue manager with how many recipients it came in. */
function readQueue(log: string): Map<string, number> {
  const users = new Map<string, string>()
  for (const [, id = '', user = ''] of log.matchAll(
    /smtpd\[\d+\]: (\w+): client=.*, sasl_username=(\S+)$/gm,
  )) {
    users.set(id, user)
  }
  const queued = new Map<string, number>()
  const seen = new Set<string>()
  for (const [, id = '', count] of log.matchAll(
    /qmgr\[\d+\]: (\w+): from=<.*, nrcpt=(\d+) \(queue active\)$/gm,
  )) {
    const user = users.get(id)
    // A message that is tried again is active again.
    if (user === undefined || seen.has(id)) continue
    seen.add(id)
    queued.set(user, (queued.get(user) ?? 0) + Number(count))
  }
  return queued
}
