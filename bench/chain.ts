/**
 * `make bench-chain`: compares a long chain with the default policy.
 *
 * Twelve plugins send six DNS queries for each request: four block lists by the client's address, one
 * by the sender's domain and by the client's name. First everything is in the cache, and the default
 * policy is queried in turns with it. Then nothing is, and one of the lists is dead.
 *
 *   bench/chain.ts [--connections 16] [--seconds 2] [--rounds 5] [--dist DIR]
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { freePort } from '../test/support/free-port.ts'
import {
  type Contestant,
  commonOptions,
  compileLoad,
  germanAddresses,
  median,
  positive,
  runRound,
  setDefaultPolicy,
  startDaemon,
  startServer,
  stop,
} from './contest.ts'

/** Few enough that every name is in the cache after the first round. */
const USERS = 1000
/** More than the requests of any round. */
const STRANGERS = 200_000
const DEADLINE_SECONDS = 2

const { values } = parseArgs({
  options: { ...commonOptions, connections: { type: 'string', default: '16' } },
})
const connections = positive('connections', values.connections)
const seconds = positive('seconds', values.seconds)
const rounds = positive('rounds', values.rounds)

const plugin = (name: string, module: string, lines = ''): string =>
  `  <Plugin ${name}>\n    module = "${module}"\n${lines}  </Plugin>\n`

const blockList = (name: string, domain: string): string =>
  plugin(name, 'RBL', `    domain = "${domain}"\n    mode = "passive"\n    score = 5\n`)

function twelvePlugins(port: number, fourthList: string): string {
  return `port = ${port}
log_level = 1
dns_timeout = ${DEADLINE_SECONDS}
<SessionCache>
  module = "Memory"
</SessionCache>
<VirtualHost ${port}>
  name = "long"
${plugin('geoip', 'GeoIPLookup')}
${plugin('far', 'GeoIPAction', '    result_from = "geoip"\n    country_codes = "CN,KP"\n    mode = "passive"\n    score = 2\n')}
${['one', 'two', 'three'].map(name => blockList(name, `${name}.example`)).join('')}
${blockList('four', fourthList)}
${plugin('policy', 'RBLAction', '    result_from = "one"\n    re_match = "^127\\.0\\.0\\.1[01]$"\n    score = 3\n')}
${plugin('names', 'DBL', '    domain = "names.example"\n')}
${plugin('dialup', 'RegexList', '    key = "client_name"\n    regex = "^(dsl|cable)-"\n    score = 1\n')}
${plugin('null', 'Condition', '    key = "sender"\n    match = "root"\n    score = 1\n')}
${plugin('sum', 'ScoreAction', '    threshold = 10\n    action = "reject too many points"\n')}
${plugin('limit', 'SendingLimit', '    threshold = 1000000000\n')}
</VirtualHost>
`
}

async function startLong(folder: string, list: string, dnsPort: number): Promise<Contestant> {
  const port = await freePort()
  const file = join(folder, 'long.conf')
  mkdirSync(folder, { recursive: true })
  writeFileSync(file, twelvePlugins(port, list))
  return startDaemon({
    name: 'twelve plugins',
    dist: values.dist,
    root: folder,
    port,
    args: ['-c', file],
    env: { RES_NAMESERVERS: '127.0.0.1', RES_OPTIONS: `port:${dnsPort}` },
  })
}

async function startDefault(folder: string): Promise<Contestant> {
  const port = await setDefaultPolicy(values.dist, folder)
  return startDaemon({ name: 'default policy', dist: values.dist, root: folder, port })
}

const load = compileLoad()
const root = mkdtempSync(join(tmpdir(), 'mtpolicyd-chain-'))
const running: Contestant[] = []
let number = 1

function ask(contestant: Contestant, addresses: string, warmup = 1): void {
  const round = runRound(contestant, {
    load,
    addresses,
    connections,
    users: USERS,
    seconds,
    number: number++,
    warmup,
  })
  contestant.rounds.push(round)
}

const middle = ({ rounds }: Contestant, of: 'perSecond' | 'p50' | 'p99' | 'max'): number =>
  median(rounds.map(round => round[of]))

function row(cells: readonly (string | number)[]): void {
  const [first = '', ...rest] = cells
  const numbers = rest.map(cell => (typeof cell === 'number' ? cell.toFixed(0) : cell).padStart(13))
  process.stdout.write(`${String(first).padEnd(18)}${numbers.join('')}\n`)
}

function show(contestant: Contestant): void {
  const { name } = contestant
  const columns = ['perSecond', 'p50', 'p99', 'max'] as const
  row([name, ...columns.map(of => middle(contestant, of))])
}

try {
  const dns = await startServer('dns-server', [])
  running.push(dns)

  const usual = await startDefault(join(root, 'default'))
  const long = await startLong(join(root, 'long'), 'four.example', dns.port)
  running.push(usual, long)
  const few = germanAddresses(values.dist)
  ask(long, few)
  // That round filled the cache.
  long.rounds.pop()
  for (let round = 0; round < rounds; round++) {
    ask(usual, few)
    ask(long, few)
  }
  process.stdout.write(`${connections} connections, all six names in the cache\n\n`)
  row(['', 'requests/s', 'p50 µs', 'p99 µs', 'max µs'])
  for (const contestant of [usual, long]) show(contestant)
  const ratio = (100 * middle(long, 'perSecond')) / middle(usual, 'perSecond')
  row(['ratio', `${ratio.toFixed(1)} %`])
  await Promise.all([usual, long].map(one => stop(one)))

  process.stdout.write('\nnothing in the cache, one of the lists is dead\n\n')
  row(['', 'requests/s', 'p50 µs', 'p99 µs', 'max µs'])
  const strangers = germanAddresses(values.dist, STRANGERS)
  const stricken = await startLong(join(root, 'stricken'), 'dead.example', dns.port)
  running.push(stricken)
  // In the first round the daemon finds out that the list does not answer.
  ask(stricken, strangers, 0)
  show({ ...stricken, name: 'first round' })
  stricken.rounds.pop()
  for (let round = 0; round < rounds; round++) ask(stricken, strangers)
  show({ ...stricken, name: 'then' })
  row(['deadline + 50 ms', '', '', (DEADLINE_SECONDS * 1000 + 50) * 1000])
} finally {
  await Promise.all(running.map(one => stop(one)))
  rmSync(root, { recursive: true, force: true })
}
