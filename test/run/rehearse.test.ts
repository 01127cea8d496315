/** A rehearsal decides as the daemon would, says how it came about, and leaves no trace of its own. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { assemble } from '../../daemon/assembly/assemble.ts'
import { silentLog } from '../../daemon/assembly/configuration.ts'
import { pathsBelow } from '../../daemon/assembly/paths.ts'
import { countryPool } from '../../daemon/lookup/country-pool.ts'
import { definePlugin } from '../../daemon/policy/plugin.ts'
import { PolicyRequest } from '../../daemon/policy/request.ts'
import { rehearser } from '../../daemon/run/rehearse.ts'
import { systemClock } from '../../daemon/system/clock.ts'
import { LookupError } from '../../daemon/system/errors.ts'
import { CHINESE, chain, GERMAN, makeWorld, plugin } from '../support/world.ts'

const MAIL = {
  protocol_state: 'END-OF-MESSAGE',
  sasl_username: 'alice',
  client_address: GERMAN,
  recipient_count: '2',
}
const requestOf = (attributes: Readonly<Record<string, string>>): PolicyRequest =>
  new PolicyRequest(new Map(Object.entries(attributes)), { id: 7, endpoint: '12345' })

const DATABASE = '<Connection db>\nmodule = Sql\ndsn = "dbi:SQLite:dbname=:memory:"\n</Connection>'
const BLOCKS = [
  plugin('AllowedCountries', 'countries = DE', 'countries'),
  plugin('Accounting', 'fields = sasl_username\ntime_pattern = "%Y"', 'acct'),
  plugin('Fail2Ban', '', 'ban'),
  plugin('SendingLimit', 'threshold = 3', 'limit'),
].join('')

t.test('what would be decided, with each plugin’s step, and nothing is counted', async t => {
  const clock = systemClock
  const world = await makeWorld(chain(BLOCKS, DATABASE), { clock })
  const rehearsing = await makeWorld(chain(BLOCKS, DATABASE), { clock, rehearses: world })
  const rehearse = rehearser(rehearsing.loaded, clock)
  for (let again = 0; again < 3; again++) {
    const { verdict, steps, facts } = await rehearse(requestOf({ ...MAIL, instance: 'r' }))
    t.equal(verdict.action, 'dunno')
    t.strictSame(facts, { country: 'DE', used: 2, limit: 3 })
    t.match(steps, [
      { plugin: 'countries', outcome: 'nothing' },
      {
        plugin: 'acct',
        outcome: 'skipped',
        text: 'writing to a database: not done in a rehearsal',
      },
      { plugin: 'ban', outcome: 'skipped', text: 'it acts on something outside the daemon' },
      { plugin: 'limit', outcome: 'nothing' },
    ])
  }
  t.equal(
    await world.ask({ ...MAIL, instance: '1', recipient_count: '3' }),
    'dunno',
    'all three are left',
  )
  const after = await rehearse(requestOf({ ...MAIL, instance: 'r' }))
  t.match(after.verdict, { action: /^reject 5\.7\.1 /, by: 'limit' })
  t.match(after.steps.at(-1), { plugin: 'limit', outcome: 'action', text: after.verdict.action })
  const rows = await world
    .sql('dbi:SQLite:dbname=:memory:')
    .query('SELECT "count" FROM acct_sasl_username', [], 9)
  t.strictSame(rows, [[1]], 'the one real message')

  const abroad = await rehearse(requestOf({ ...MAIL, client_address: CHINESE }))
  t.match(abroad.verdict, { by: 'countries' })
  t.equal(abroad.steps.length, 1)
  t.strictSame(rehearsing.errors, [])
  t.match(world.errors, [/^plugin ban failed/], 'there is no fail2ban here')
})

t.test(
  'assembled for a rehearsal, a plugin of the operator’s own is run only if it has no effects',
  async t => {
    const paths = pathsBelow(t.testdir({ etc: { 'univention-mtpolicyd': { plugins: {} } } }))
    const own = (name: string, more: string): string =>
      `export default ({ definePlugin }) => definePlugin({ name: '${name}', summary: '.', settings: {}${more},
      create: () => () => { globalThis.rehearsed.push('${name}') } })`
    writeFileSync(join(paths.plugins, 'a.mjs'), own('Stranger', ''))
    writeFileSync(join(paths.plugins, 'b.mjs'), own('Harmless', ', hasEffects: false'))
    const rehearsed: string[] = []
    Object.assign(globalThis, { rehearsed })
    const world = await makeWorld(chain(plugin('SendingLimit', 'threshold = 9')))
    const assembly = await assemble({
      file: join(paths.root, 'test.conf'),
      text: chain(
        plugin('Stranger') + plugin('Harmless') + plugin('SendingLimit', 'threshold = 9'),
      ),
      paths,
      clock: systemClock,
      ledger: world.ledger,
      dns: {
        ask: () => ({ outcome: 'empty', records: [], exists: false }),
        noListing: () => undefined,
      },
      countries: countryPool(() => undefined),
      log: () => silentLog,
      isRehearsal: true,
    })
    t.teardown(() => assembly.close())
    t.ok(assembly.isUsable)
    t.notOk(assembly.problems.some(({ message }) => /no plugin of this file/.test(message)))
    const { steps } = await rehearser(assembly.loaded, systemClock)(requestOf(MAIL))
    t.match(steps, [
      { plugin: 'stranger', outcome: 'skipped' },
      { plugin: 'harmless', outcome: 'nothing' },
      { plugin: 'sendinglimit', outcome: 'nothing' },
    ])
    t.strictSame(rehearsed, ['Harmless'])
    const day = { name: new Date().toISOString().slice(0, 10), endsAt: 0 }
    t.equal(await world.ledger.used('sendinglimit', 'alice', day, Date.now()), 0)
  },
)
t.test('the plugin that ends the request by its failure is a step as well', async t => {
  const text = chain(plugin('Fail2Ban') + plugin('Nameless'), 'on_failure = close')
  const nameless = definePlugin({
    name: 'Nameless',
    summary: 'Fails.',
    settings: {},
    create: () => () => {
      throw new LookupError('no answer')
    },
  })
  const world = await makeWorld(text, { plugins: [nameless] })
  const rehearsing = await makeWorld(text, { rehearses: world, plugins: [nameless] })
  const { verdict, steps } = await rehearser(
    rehearsing.loaded,
    systemClock,
  )(requestOf({ ...MAIL, instance: 'r' }))
  t.match(verdict, { silent: true })
  t.match(steps.at(-1), { plugin: 'nameless', outcome: 'failed', text: 'no answer' })
  t.match(
    rehearsing.loaded.links.find(({ link }) => link.name === 'nameless'),
    { link: { tally: { runs: 1, failures: 1 } } },
  )
})

t.test('a query of the operator’s own that writes is not run', async t => {
  const query = (sql: string): string => plugin('SqlList', `sql_query = "${sql}"`, 'list')
  for (const [sql, outcome] of [
    ['UPDATE seen SET n = n + 1 WHERE ip = ? RETURNING n', 'skipped'],
    ['WITH a(ip) AS (VALUES (?)) INSERT INTO seen SELECT ip, 1 FROM a RETURNING n', 'skipped'],
    [' (SELECT 1 FROM seen WHERE ip = ?)', 'failed'],
    ['select n from seen where ip = ?', 'nothing'],
  ] as const) {
    const text = chain(query(sql), DATABASE)
    const world = await makeWorld(text)
    const db = world.sql('dbi:SQLite:dbname=:memory:')
    await db.execute('CREATE TABLE seen (ip TEXT, n INTEGER)', [])
    await db.execute('INSERT INTO seen VALUES (?, 1)', [CHINESE])
    const rehearsing = await makeWorld(text, { rehearses: world })
    const { steps } = await rehearser(
      rehearsing.loaded,
      systemClock,
    )(requestOf({ ...MAIL, client_address: sql.startsWith('select') ? GERMAN : CHINESE }))
    t.match(steps, [{ plugin: 'list', outcome }], sql)
    t.strictSame(await db.query('SELECT n FROM seen', [], 9), [[1]], sql)
  }
})
