/** A replay answers what the daemon has answered: recorded requests, sent to a real one as well. */

import { mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turnOfTheLoop } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { pathsBelow } from '../../daemon/assembly/paths.ts'
import { writeMmdb } from '../../daemon/lookup/mmdb-writer.ts'
import type { Recorded } from '../../daemon/replay/record.ts'
import { replay } from '../../daemon/replay/replay.ts'
import { ReplayClock } from '../../daemon/replay/replay-clock.ts'
import { TraceReader } from '../../daemon/replay/trace-reader.ts'
import { openTrial } from '../../daemon/replay/trial.ts'
import { Daemon } from '../../daemon/run/daemon.ts'
import { freePort } from '../support/free-port.ts'
import { type PolicyClient, policyClient, requestText } from '../support/policy-client.ts'
import { recordedRequests } from '../support/recorded-requests.ts'
import { virtualClock } from '../support/virtual-clock.ts'

const REQUESTS = 10_000
/** An evening in Berlin: the day turns in the middle. */
const BEGIN = Date.UTC(2026, 10, 20, 21, 30)
const HOURS = 3

const RANGES = [
  { first: '198.51.100.0', last: '198.51.100.255', code: 'DE' },
  { first: '203.0.113.0', last: '203.0.113.255', code: 'CN' },
]

const POLICY = `
<SessionCache>
module = Memory
</SessionCache>
<VirtualHost PORT>
name = v
<Plugin countries>
module = AllowedCountries
countries = DE
</Plugin>
<Plugin day>
module = SendingLimit
threshold = 120
most_recipients = 20
</Plugin>
<Plugin hour>
module = SendingLimit
window = 1h
threshold = 70
</Plugin>
<Plugin minutes>
module = SendingLimit
window = 5m
threshold = 25
excess = defer
</Plugin>
<Plugin messages>
module = SendingLimit
unit = messages
threshold = 60
</Plugin>
<Plugin bytes>
module = SendingLimit
unit = megabytes
threshold = 40
</Plugin>
<Plugin domain>
module = SendingLimit
per = domain
window = 1h
threshold = 600
</Plugin>
</VirtualHost>
`

interface Place {
  readonly file: string
  readonly root: string
  readonly port: number
}

async function makePlace(t: Test): Promise<Place> {
  const root = mkdtempSync(join(tmpdir(), 'replay-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  const port = await freePort()
  const file = join(root, 'mtpolicyd.conf')
  const countries = join(root, 'country.mmdb')
  writeFileSync(countries, writeMmdb(RANGES, { builtAt: new Date(BEGIN) }))
  const globals = `port = "127.0.0.1:${port}"\ntimezone = "Europe/Berlin"\nmaillog = none\nlog_level = 0\ngeoip_database = "${countries}"\n`
  writeFileSync(file, globals + POLICY.replace('PORT', String(port)))
  return { file, root, port }
}

/** What a daemon answers, whose clock shows each record's time when it comes. */
async function liveAnswers({ root, file, port }: Place, records: readonly Recorded[]) {
  const paths = pathsBelow(root)
  mkdirSync(paths.state, { recursive: true })
  const clock = virtualClock(BEGIN)
  const daemon = await turning(
    clock,
    Daemon.start({
      paths,
      source: () => ({ file, text: undefined, origin: 'file', notices: [] }),
      debug: undefined,
      priorities: false,
      control: false,
      supervisor: {
        isPresent: false,
        sockets: [],
        ready: () => undefined,
        reloading: () => undefined,
        stopping: () => undefined,
      },
      clock,
      stderr: openSync(join(root, 'log'), 'a'),
    }),
  )
  const last = new Map(records.map((record, at) => [record.conn, at]))
  const open = new Map<string, PolicyClient>()
  const answers: string[] = []
  for (const [at, record] of records.entries()) {
    await clock.advance(record.t - clock.now())
    const client = open.get(record.conn) ?? (await policyClient({ port }))
    open.set(record.conn, client)
    client.send(requestText(Object.fromEntries(record.attributes)))
    answers.push((await client.answer()).replace(/^action=/, ''))
    if (last.get(record.conn) !== at) continue
    client.socket.end()
    await client.ended
    open.delete(record.conn)
    while ((await daemon.status()).connections > open.size) await turnOfTheLoop()
  }
  await turning(clock, daemon.stop(100))
  return answers
}

async function turning<T>(clock: ReturnType<typeof virtualClock>, work: Promise<T>): Promise<T> {
  let isDone = false
  const done = (): void => {
    isDone = true
  }
  work.then(done, done)
  while (!isDone) await clock.advance(1)
  return work
}

async function replayed(
  t: Test,
  { root, file }: Place,
  records: readonly Recorded[],
): Promise<string[]> {
  const clock = new ReplayClock()
  const trial = await openTrial({ file, text: undefined, paths: pathsBelow(root), clock })
  const answers: string[] = []
  await replay({
    records: (async function* () {
      yield records
    })(),
    trials: [trial],
    clock,
    answered: (_, [answer]) => void answers.push(answer?.action ?? ''),
    paused: () => undefined,
    disordered: () => t.fail('in order'),
  })
  t.strictSame(trial.idle, [], 'every plugin did its work')
  trial.close()
  return answers
}

t.test(`a replay of ${REQUESTS} requests answers each of them as the daemon did`, async t => {
  const place = await makePlace(t)
  const lines = recordedRequests({ count: REQUESTS, begin: BEGIN, hours: HOURS, seed: 7 })
  const reader = new TraceReader()
  const records = lines.map(line => {
    const record = reader.read(line)
    if (typeof record === 'string') throw new Error(record)
    return record
  })
  const live = await liveAnswers(place, records)
  const again = await replayed(t, place, records)
  const different = live.flatMap((action, at) =>
    action === again[at] ? [] : [{ line: lines[at], live: action, replayed: again[at] }],
  )
  t.strictSame(different.slice(0, 3), [], `${different.length} differ`)
  t.equal(again.length, REQUESTS)
  const refused = live.filter(action => action !== 'dunno')
  const kinds = new Set(refused.map(action => action.replace(/\d+/g, '1').slice(0, 60)))
  t.ok(refused.length > 500 && refused.length < REQUESTS - 3000, `${refused.length} were refused`)
  t.ok(kinds.size >= 5, 'for many reasons')
})
