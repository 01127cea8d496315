/**
 * What a large history costs, on a made-up store in a folder of its own:
 *
 *   bench/history-store.ts disk [--accounts 100000] [--days 90]
 *       the size of the file when each account sends in eight hours of each day
 *   bench/history-store.ts ask [--accounts 1000000] [--seconds 20] [--rate 20000]
 *       how long top, account and refusals take while so many requests a second are noted
 */

import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Archive } from '../daemon/history/archive.ts'
import { deleteOld, packOld } from '../daemon/history/deletion.ts'
import { OpenHistory } from '../daemon/history/history.ts'
import { Spool } from '../daemon/history/spool.ts'
import { systemClock } from '../daemon/system/clock.ts'
import { type Mail, verdict } from '../test/history/some-mail.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    accounts: { type: 'string', default: positionalDefault() },
    days: { type: 'string', default: '90' },
    seconds: { type: 'string', default: '20' },
    rate: { type: 'string', default: '20000' },
  },
})
const accounts = Number(values.accounts)
// Not in /tmp, which is in memory on some systems.
mkdirSync(join(import.meta.dirname, '../build'), { recursive: true })
const folder = mkdtempSync(join(import.meta.dirname, '../build/history-'))
const path = join(folder, 'history.sqlite')
const say = (line: string): void => void process.stdout.write(`${line}\n`)

function positionalDefault(): string {
  return process.argv[2] === 'ask' ? '1000000' : '100000'
}

const random = (below: number): number => Math.floor(Math.random() * below)

/** Office, home or on the way: a few networks and names each; a hostname of a dial-up line is new each day. */
function mailOf(account: number, day: number): Mail {
  const place = random(3)
  const client = `100.${account % 200}.${(account + place * 31) % 250}.${day % 250}`
  return {
    user: `user${account}@example.org`,
    client,
    clientName: place === 0 ? `p${account}d${day}.dip0.example.net` : `pc${place}.example.org`,
    instance: `${account.toString(16)}.${day.toString(16)}${random(1e9).toString(16)}.0`,
    queueId: `4dQ1bk${random(1e6).toString(36)}`,
    country: place === 2 ? 'FR' : 'DE',
    recipients: 1 + random(5),
    size: 2000 + random(3_000_000),
  }
}

async function disk(): Promise<void> {
  const days = Number(values.days)
  const began = Math.floor(Date.now() / DAY - days) * DAY
  const clock = { ...systemClock, at: began, now: () => clock.at }
  const spool = new Spool(path, clock)
  const archive = new Archive(path)
  for (let day = 0; day < days; day++) {
    for (let hour = 0; hour < 24; hour++) {
      clock.at = began + day * DAY + hour * HOUR + 1
      // Each account in eight hours of the day, a third of all in each hour.
      for (let account = (day + hour) % 3; account < accounts; account += 3) {
        const isRefused = random(20_000) === 0
        const action = isRefused ? 'reject 5.7.1 You may send to 1000 recipients a day' : 'dunno'
        const code = isRefused ? spool.nextCode() : ''
        spool.note(verdict(clock, { ...mailOf(account, day), action, code }))
        if (account % 20_000 < 3) await read()
      }
    }
    await read()
    await archive.write()
    await deleteOld(archive, clock.at, days)
    await packOld(archive, clock.at)
    if (day % 10 === 9 || day === days - 1) sizes(day + 1)
  }
  async function read(): Promise<void> {
    spool.flush()
    await archive.catchUp()
    spool.taken(archive.taken)
  }
  function sizes(after: number): void {
    archive.db.pragma('wal_checkpoint(TRUNCATE)')
    const tables = archive.reader
      .prepare<[], { name: string; bytes: number }>(
        'SELECT name, sum(pgsize) AS bytes FROM dbstat GROUP BY name HAVING bytes > 1000000',
      )
      .all()
    const parts = tables.map(one => `${one.name} ${megabytes(one.bytes)}`).join(', ')
    say(`${after} days: ${megabytes(statSync(path).size)} MB (${parts})`)
  }
}

const megabytes = (bytes: number): number => Math.round(bytes / 2 ** 20)

async function ask(): Promise<void> {
  const history = new OpenHistory({
    path,
    clock: systemClock,
    days: 90,
    failed: message => say(message),
  })
  // Once each, so that all are known.
  for (let account = 0; account < accounts; account++) {
    history.note(verdict(systemClock, mailOf(account, 1)))
    if (account % 5000 === 0) await history.account('nobody')
  }
  await history.account('nobody')
  say(`${accounts} accounts; resident memory ${megabytes(process.memoryUsage().rss)} MB`)
  const made = Array.from({ length: 20_000 }, () =>
    verdict(systemClock, mailOf(random(accounts), 2)),
  )
  const code = history.nextCode()
  history.note(verdict(systemClock, { user: 'user5@example.org', action: 'reject no', code }))
  const rate = Number(values.rate)
  let noted = 0
  const since = performance.now()
  let busy = 0
  const timer = setInterval(() => {
    const due = ((performance.now() - since) / 1000) * rate
    const before = performance.now()
    for (; noted < due; noted++) {
      const one = made[noted % made.length]
      // The same instances again would be the same messages: every lap has its own.
      if (one) history.note(lapOf(one, noted))
      if (noted % 16 === 0) history.status()
    }
    busy += performance.now() - before
  }, 1)
  const took = new Map<string, number[]>()
  const time = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    const before = performance.now()
    await work()
    took.set(what, [...(took.get(what) ?? []), performance.now() - before])
  }
  const end = performance.now() + Number(values.seconds) * 1000
  while (performance.now() < end) {
    const now = Date.now()
    const day = { since: now - DAY, until: now, most: 20 }
    await time('top', () => history.top({ ...day, by: 'recipients' }))
    await time('account', () => history.account(`user${random(accounts)}@example.org`))
    await time('refusals', () => history.refusals({ code }))
    await time('accounts', () => history.accounts('user99', 20))
    await sleep(50)
  }
  clearInterval(timer)
  for (const [what, all] of took) {
    const sorted = all.toSorted((one, other) => one - other)
    const at = (part: number): string => (sorted[Math.floor(sorted.length * part)] ?? 0).toFixed(0)
    say(
      `${what}: ${all.length} times, median ${at(0.5)} ms, p95 ${at(0.95)} ms, most ${at(0.9999)} ms`,
    )
  }
  const seconds = (performance.now() - since) / 1000
  say(
    `noted ${Math.round(noted / seconds)} a second, ${((busy * 1000) / noted).toFixed(2)} µs each`,
  )
  say(`gaps ${JSON.stringify(history.status())}; ${megabytes(process.memoryUsage().rss)} MB`)
  await history.close()
  say(`the file ${megabytes(statSync(path).size)} MB`)
}

let laps = 0
/** With another instance. */
function lapOf(one: ReturnType<typeof verdict>, number: number): ReturnType<typeof verdict> {
  laps++
  const attributes = one.request.attributes
  if (attributes instanceof Map) attributes.set('instance', `${number.toString(16)}.${laps}.0`)
  return one
}

try {
  if (positionals[0] === 'disk') await disk()
  else if (positionals[0] === 'ask') await ask()
  else say('expected disk or ask')
} finally {
  rmSync(folder, { recursive: true, force: true })
}
