import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { checkConfiguration } from '../../daemon/assembly/configuration.ts'
import { pathsBelow } from '../../daemon/assembly/paths.ts'
import { configFiles } from '../../daemon/config/files.ts'
import { parseConfig } from '../../daemon/config/parser.ts'
import { formatNotice, formatProblem, type Problem } from '../../daemon/policy/problem.ts'
import { ensureRendered } from '../../daemon/registry/ensure-rendered.ts'
import { nameKey } from '../../daemon/registry/name-key.ts'
import { openRegistry } from '../../daemon/registry/registry.ts'
import { quoteValue } from '../../daemon/registry/render.ts'
import { declarations, isPattern } from '../../daemon/registry/variables.ts'
import { runRegistryCommand } from '../support/command.ts'
import { runs } from '../support/fuzz.ts'

const ours = new URL('../../templates', import.meta.url).pathname
const golden = new URL('../golden/registry/', import.meta.url).pathname

interface Host {
  readonly root: string
  readonly templates?: string
  readonly env?: NodeJS.ProcessEnv
  readonly check?: (file: string) => readonly Problem[]
  readonly reload?: () => void
}

/**
 * Runs one command on a host; returns its output, its status, and how often the daemon was
 * reloaded.
 */
async function run(host: Host, ...argv: string[]) {
  const said = { stdout: '', stderr: '', reloads: 0 }
  const status = await runRegistryCommand(argv, {
    root: host.root,
    env: host.env ?? {},
    templates: host.templates ?? ours,
    stdout: text => {
      said.stdout += text
    },
    stderr: text => {
      said.stderr += text
    },
    check: file => host.check?.(file) ?? [],
    reload: () => {
      said.reloads++
      host.reload?.()
    },
  })
  return { ...said, status }
}

const target = (root: string) => join(root, 'etc/univention-mtpolicyd/mtpolicyd.conf')
const rendered = (root: string) => readFileSync(target(root), 'utf8')
const stored = (root: string) => openRegistry({ root, env: {} }).snapshot().merged

t.test('set on an empty host creates everything, and the result is as expected', async t => {
  const root = t.testdir()
  const first = await run({ root }, 'set', 'mtpolicyd/threshold=1000')
  t.match(first, { status: 0, stderr: '', reloads: 1 })
  t.equal(first.stdout, `Create mtpolicyd/threshold\nFile: ${target(root)}\n`)
  isGolden(t, 'defaults.conf', rendered(root))

  const all = await run(
    { root },
    'set',
    'mtpolicyd/allowedcountries=de, at, ch',
    'mtpolicyd/threshold=200',
    'mtpolicyd/debug=2',
    'mtpolicyd/host=0.0.0.0',
    'mtpolicyd/port=10031',
    'mtpolicyd/clients=192.0.2.0/24,2001:db8::/32',
    'mtpolicyd/mode=observe',
    'mtpolicyd/timezone=Europe/Berlin',
    'mtpolicyd/durability=full',
    'mtpolicyd/unknowncountry=refuse',
    'mtpolicyd/defaultdomain=example.org',
    'mtpolicyd/geoip/database=/srv/geo #1 "new" $x\\y.mmdb',
    'mtpolicyd/log/format=json',
    'mtpolicyd/user/Alice/threshold=50',
    'mtpolicyd/user/news^20letter@example.com/threshold=unlimited',
    'mtpolicyd/user/alice/allowedcountries=DE,US',
    'mtpolicyd/user/bob/allowedcountries=*',
    'mtpolicyd/allowednetworks=192.0.2.0/24, 2001:DB8:40::/44',
    'mtpolicyd/user/carol/allowednetworks=198.51.100.7',
    'mtpolicyd/threshold/rolling=400',
    'mtpolicyd/threshold/hour=40',
    'mtpolicyd/threshold/minute=20',
    'mtpolicyd/threshold/message=10',
    'mtpolicyd/user/alice/threshold/rolling=90',
    'mtpolicyd/user/alice/threshold/hour=30',
    'mtpolicyd/user/alice/threshold/minute=unlimited',
    'mtpolicyd/user/alice/threshold/message=25',
    'mtpolicyd/user/bob/threshold/message=unlimited',
    'mtpolicyd/domain/Example.ORG/threshold=5000',
    'mtpolicyd/domain/example.net/threshold=unlimited',
    'mtpolicyd/domain/example.net/threshold/hour=500',
    'mtpolicyd/domain/@müller.example/user/threshold=60',
    'mtpolicyd/domain/müller.example/user/threshold/hour=15',
    'mtpolicyd/domain/example.com/user/threshold/rolling=70',
    'mtpolicyd/domain/example.com/user/threshold/minute=5',
    'mtpolicyd/domain/example.com/user/threshold/message=30',
    'mtpolicyd/server/threshold=20000',
    'mtpolicyd/server/threshold/hour=3000',
    'mtpolicyd/excess=Hold',
    'mtpolicyd/language=DE',
    'mtpolicyd/maillog=/var/log/mail.log',
  )
  t.match(all, { status: 0, stderr: '', reloads: 1 })
  isGolden(t, 'everything.conf', rendered(root))
  const { root: tree, problems } = parseConfig(target(root), configFiles)
  t.strictSame(problems, [])
  const database = tree.options.find(({ name }) => name === 'geoip_database')
  t.equal(database?.value, '/srv/geo #1 "new" $x\\y.mmdb')
  const limit = tree.blocks[0]?.blocks.find(({ name }) => name === 'limit')
  t.strictSame(
    limit?.blocks.map(({ name }) => name),
    ['alice', 'bob', 'news letter@example.com', 'example.com', 'xn--mller-kva.example'],
  )
})

t.test('the daemon understands a configuration with every variable set', async t => {
  const root = t.testdir()
  const text = readFileSync(join(golden, 'everything.conf'), 'utf8')
  const file = join(root, 'mtpolicyd.conf')
  // That database does not exist.
  writeFileSync(file, text.replace(/^geoip_database.*$/m, ''))
  const problems = await checkConfiguration(pathsBelow(root), file, undefined)
  t.strictSame(problems.map(formatProblem), [])
})

/** GOLDEN=write rewrites them; review the diff afterwards. */
function isGolden(t: Test, name: string, text: string): void {
  if (process.env.GOLDEN === 'write') writeFileSync(join(golden, name), text)
  t.equal(text, readFileSync(join(golden, name), 'utf8'), name)
}

/** A rendered configuration as the lines of its blocks, such as `limit/alice/threshold` and its value. */
function optionsIn(text: string): ReadonlyMap<string, string> {
  const path: string[] = []
  const options = new Map<string, string>()
  for (const [name, value] of structure(text)) {
    if (name.startsWith('</')) path.pop()
    else if (name.startsWith('<')) path.push(value)
    else options.set([...path.slice(1), name].join('/'), value)
  }
  return options
}

/** The options below the virtual host, after some variables were set. */
async function rendering(t: Test, ...assignments: string[]): Promise<ReadonlyMap<string, string>> {
  const root = t.testdir()
  t.match(await run({ root }, 'set', ...assignments), { status: 0, stderr: '' })
  return optionsIn(rendered(root))
}

t.test('a limit that nobody has is not there', async t => {
  const hasHour = async (...assignments: string[]): Promise<boolean> =>
    (await rendering(t, 'mtpolicyd/debug=2', ...assignments)).has('hour/threshold')
  t.notOk(await hasHour())
  t.notOk(await hasHour('mtpolicyd/threshold/hour='))
  t.notOk(await hasHour('mtpolicyd/threshold/hour=unlimited'))
  t.notOk(await hasHour('mtpolicyd/user/alice/threshold/hour=unlimited'))
  t.ok(await hasHour('mtpolicyd/threshold/hour=0'))
  t.ok(await hasHour('mtpolicyd/user/alice/threshold/hour=5'))
})

t.test('a limit that only one user has is unlimited for the others', async t => {
  for (const window of ['rolling', 'hour', 'minute']) {
    const options = await rendering(t, `mtpolicyd/user/alice/threshold/${window}=5`)
    t.equal(options.get(`${window}/threshold`), 'unlimited')
    t.equal(options.get(`${window}/alice/threshold`), '5')
    t.equal(options.get('limit/threshold'), '1000')
    t.notOk(options.has('limit/alice/threshold'))
  }
})

t.test(
  'an unlimited user has no other limit, except one of his own and the one per message',
  async t => {
    const options = await rendering(
      t,
      'mtpolicyd/user/alice/threshold=unlimited',
      'mtpolicyd/user/alice/threshold/minute=9',
      'mtpolicyd/user/bob/threshold=50',
      'mtpolicyd/threshold/rolling=200',
      'mtpolicyd/threshold/hour=40',
      'mtpolicyd/threshold/minute=20',
      'mtpolicyd/threshold/message=10',
      'mtpolicyd/domain/example.org/threshold=300',
      'mtpolicyd/server/threshold=900',
    )
    t.equal(options.get('limit/alice/threshold'), 'unlimited')
    t.equal(options.get('rolling/alice/threshold'), 'unlimited')
    t.equal(options.get('hour/alice/threshold'), 'unlimited')
    t.equal(options.get('minute/alice/threshold'), '9')
    t.equal(options.get('limit/most_recipients'), '10')
    t.notOk(options.has('limit/alice/most_recipients'))
    t.equal(options.get('limit/bob/threshold'), '50')
    t.notOk(options.has('hour/bob/threshold'))
    for (const sum of ['domain', 'server']) t.notOk(options.has(`${sum}/alice/threshold`), sum)
  },
)

t.test('what is unlimited for all lifts the limit of the day only', async t => {
  const options = await rendering(
    t,
    'mtpolicyd/threshold=unlimited',
    'mtpolicyd/domain/example.org/user/threshold=unlimited',
    'mtpolicyd/threshold/hour=40',
  )
  t.equal(options.get('limit/threshold'), 'unlimited')
  t.equal(options.get('limit/example.org/threshold'), 'unlimited')
  t.equal(options.get('hour/threshold'), '40')
  t.notOk(options.has('hour/example.org/threshold'))
})

t.test('the sum of a domain and the default of its users are two things', async t => {
  const root = t.testdir()
  await run({ root }, 'set', 'mtpolicyd/domain/example.org/threshold=300')
  await run({ root }, 'set', 'mtpolicyd/domain/EXAMPLE.org./user/threshold=50')
  const options = optionsIn(rendered(root))
  t.equal(options.get('domain/example.org/threshold'), '300')
  t.equal(options.get('domain/threshold'), 'unlimited')
  t.equal(options.get('limit/example.org/threshold'), '50')
  t.equal([...options.keys()].filter(name => name.includes('example.org')).length, 2)
  t.equal(
    (await run({ root }, 'get', 'mtpolicyd/domain/Example.Org/user/threshold')).stdout,
    '50\n',
  )
  t.match(
    (await run({ root }, 'info', 'mtpolicyd/domain/example.org/user/threshold')).stdout,
    /: 50\n mtpolicyd\/threshold for each user of a domain/,
  )
  t.equal((await run({ root }, 'unset', 'mtpolicyd/domain/Example.org/threshold')).status, 0)
  t.notOk(optionsIn(rendered(root)).has('domain/threshold'))
})

t.test('a user with a cap per message of his own keeps the daily limit of the domain', async t => {
  const options = await rendering(
    t,
    'mtpolicyd/defaultdomain=example.org',
    'mtpolicyd/domain/example.org/user/threshold=50',
    'mtpolicyd/domain/müller.example/user/threshold=60',
    'mtpolicyd/user/alice/threshold/message=5',
    'mtpolicyd/user/bob@xn--Mller-kva.example/threshold/message=6',
    'mtpolicyd/user/carol/threshold/message=7',
    'mtpolicyd/user/carol/threshold=700',
    'mtpolicyd/user/dave@example.net/threshold/message=8',
  )
  t.equal(options.get('limit/alice/threshold'), '50')
  t.equal(options.get('limit/alice/most_recipients'), '5')
  t.equal(options.get('limit/bob@xn--mller-kva.example/threshold'), '60')
  t.equal(options.get('limit/carol/threshold'), '700')
  t.notOk(options.has('limit/dave@example.net/threshold'))
  t.equal(options.get('limit/dave@example.net/most_recipients'), '8')
})

t.test('of two spellings of a domain in a file of UCR, the canonical one counts', async t => {
  const root = t.testdir()
  const layer = join(root, 'etc/univention-mtpolicyd/registry/base.conf')
  mkdirSync(dirname(layer), { recursive: true })
  writeFileSync(
    layer,
    `# univention_ base.conf\n
mtpolicyd/domain/Example.org/threshold: 1
mtpolicyd/domain/example.org/threshold: 2
mtpolicyd/domain/MÜLLER.example/threshold: 3
mtpolicyd/domain/not a domain/threshold: 4`,
  )
  const refused = await run({ root }, 'commit')
  t.match(refused.stderr, 'not a domain/threshold: expected a domain such as example.org')
  writeFileSync(layer, readFileSync(layer, 'utf8').replace(/^.*not a domain.*$/m, ''))
  t.match(await run({ root }, 'commit'), { status: 0 })
  const options = optionsIn(rendered(root))
  t.equal(options.get('domain/example.org/threshold'), '2')
  t.equal(options.get('domain/xn--mller-kva.example/threshold'), '3')
})

t.test('networks of a user stand beside the general ones', async t => {
  const options = await rendering(
    t,
    'mtpolicyd/allowednetworks=192.0.2.0/24',
    'mtpolicyd/user/alice/allowednetworks=198.51.100.7',
    'mtpolicyd/user/bob/allowednetworks=',
  )
  t.equal(options.get('countries/networks'), '192.0.2.0/24')
  t.equal(options.get('countries/alice/networks'), '198.51.100.7')
  t.notOk(options.has('countries/alice/countries'))
  t.notOk([...options.keys()].some(name => name.includes('bob')))
})

t.test('the environment sets the new limits, too', async t => {
  const registry = openRegistry({ root: t.testdir(), env: { MTPOLICYD_THRESHOLD_HOUR: '40' } })
  const { text } = await ensureRendered({ registry, templates: ours, check: () => [] })
  t.equal(optionsIn(text ?? '').get('hour/threshold'), '40')
})

t.test('setting the same value again changes no byte and reloads nothing', async t => {
  const root = t.testdir()
  await run({ root }, 'set', 'mtpolicyd/threshold=200')
  const before = rendered(root)
  const again = await run({ root }, 'set', 'mtpolicyd/threshold=200')
  t.match(again, {
    status: 0,
    reloads: 0,
    stdout: `Setting mtpolicyd/threshold\nFile: ${target(root)}\n`,
  })
  t.equal(rendered(root), before)
})

t.test('a variable that no template needs renders nothing', async t => {
  const root = t.testdir()
  await run({ root }, 'set', 'mtpolicyd/threshold=200')
  t.match(await run({ root }, 'set', 'other/thing=1'), {
    stdout: 'Create other/thing\n',
    reloads: 0,
  })
})

t.test('a value that a higher layer overrides changes nothing for the daemon', async t => {
  const root = t.testdir()
  await run({ root }, 'set', '--force', 'mtpolicyd/threshold=200')
  const below = await run({ root }, 'set', 'mtpolicyd/threshold=300')
  t.match(below, { status: 0, reloads: 0, stdout: 'Create mtpolicyd/threshold\n' })
  t.equal(below.stderr, 'W: mtpolicyd/threshold is overridden by scope "forced"\n')
  const unset = await run({ root }, 'unset', '--force', 'mtpolicyd/threshold')
  t.match(unset, { status: 0, reloads: 1 })
  t.match(rendered(root), /threshold = 300/)
  await run({ root }, 'unset', 'mtpolicyd/threshold')
  t.match(rendered(root), /threshold = 1000/, 'back to the default')
})

for (const [assignment, expected] of [
  ['allowedcountries=Germany', 'such as DE,AT or *; did you mean DE?'],
  ['allowedcountries=DE,XX', '"XX" is not a country code'],
  ['allowedcountries=', 'the list is empty'],
  ['allowedcountries=DE\nport = 1', 'one line of text'],
  ['threshold=-1', 'from 0 to 1000000000, or unlimited'],
  ['threshold=5\n', 'one line of text'],
  ['port=70000', 'from 1 to 65535'],
  ['user/a^0Ab/threshold=5', 'without control characters'],
  ['user/a^3Eb/threshold=5', 'user name without'],
  ['user//threshold=5', 'the name of a user'],
  ['geoip/database=/x\0y', 'one line of text'],
  ['threshold/hour=many', 'from 0 to 1000000000, unlimited, or nothing for no limit'],
  ['threshold/minute=-1', 'unlimited, or nothing'],
  ['threshold/rolling=1.5', 'unlimited, or nothing'],
  ['threshold/message=1000000001', 'unlimited, or nothing'],
  ['server/threshold=none', 'unlimited, or nothing'],
  ['server/threshold/hour=1h', 'unlimited, or nothing'],
  ['user/alice/threshold/hour=', 'from 0 to 1000000000, or unlimited'],
  ['user/alice/threshold/minute=x', 'or unlimited'],
  ['user/alice/threshold/rolling=x', 'or unlimited'],
  ['user/alice/threshold/message=x', 'or unlimited'],
  ['user/a^3Eb/threshold/hour=5', 'user name without'],
  ['user/alice/allowednetworks=DE', 'an address or a network such as'],
  ['allowednetworks=192.0.2.0/33', '"192.0.2.0/33": expected an address or a network'],
  ['domain/example.org/threshold=x', 'or unlimited'],
  ['domain/example.org/threshold/hour=x', 'or unlimited'],
  ['domain/example.org/user/threshold=x', 'or unlimited'],
  ['domain//threshold=5', 'a domain such as example.org'],
  ['domain/alice@example.org/threshold=5', 'a domain such as example.org'],
  ['domain/a/b/threshold/hour=5', 'a domain such as example.org'],
  ['domain/exa^20mple.org/user/threshold=5', 'a domain such as example.org'],
  ['excess=drop', 'one of: reject, defer, hold, or nothing for reject'],
  ['language=es', 'one of: en, de, fr, or nothing for en'],
  ['maillog=mail.log', 'auto, none, journal, or an absolute path such as /var/log/mail.log'],
] as const) {
  t.test(`${JSON.stringify(assignment)} is rejected with status 2 and changes nothing`, async t => {
    const root = t.testdir()
    await run({ root }, 'set', 'mtpolicyd/threshold=7', 'mtpolicyd/port=8')
    const before = { text: rendered(root), values: stored(root) }
    const refused = await run({ root }, 'set', `mtpolicyd/${assignment}`)
    t.match(refused, { status: 2, reloads: 0 })
    const lines = refused.stderr.split('\n')
    t.equal(lines.length, 3, 'one line of UCR, one of ours')
    t.match(lines[0], /^E: Value '.*' incompatible for 'mtpolicyd\/.*'$/)
    t.ok(lines[1]?.startsWith('  mtpolicyd/') && lines[1].includes(expected), refused.stderr)
    t.strictSame({ text: rendered(root), values: stored(root) }, before)
  })
}

t.test('a misspelt variable is stored, as in UCR, and the right name is suggested', async t => {
  const root = t.testdir()
  const typo = await run({ root }, 'set', 'mtpolicyd/treshold=5', 'mtpolicyd/autostart=true')
  t.match(typo, { status: 0 })
  t.equal(
    typo.stderr,
    '  mtpolicyd/treshold: nothing reads this variable; did you mean mtpolicyd/threshold?\n',
  )
})

t.test('if a call has good and bad assignments, the good ones take effect', async t => {
  const root = t.testdir()
  const both = await run({ root }, 'set', 'mtpolicyd/threshold=x', 'mtpolicyd/port=8', 'a(b=1')
  t.match(both, { status: 2, reloads: 1 })
  t.match(rendered(root), /port = "127.0.0.1:8,\[::1\]:8"/)
})

t.test(
  'a host that is reachable from outside is rejected without clients, in one line',
  async t => {
    const root = t.testdir()
    const refused = await run({ root }, 'set', 'mtpolicyd/host=0.0.0.0')
    t.match(refused, { status: 1, reloads: 0, stderr: /set mtpolicyd\/clients/ })
    t.notOk(existsSync(target(root)))
    t.equal(stored(root).get('mtpolicyd/host'), 'localhost')
    const both = await run({ root }, 'set', 'mtpolicyd/host=::', 'mtpolicyd/clients=192.0.2.1')
    t.match(both, { status: 0, stderr: '' })
    t.match(rendered(root), /port = "\[::\]:12345"/)
  },
)

t.test('a configuration that the loader rejects is neither stored nor put in place', async t => {
  const root = t.testdir()
  await run({ root }, 'set', 'mtpolicyd/threshold=200')
  const before = rendered(root)
  let seen = ''
  const check = (file: string): Problem[] => {
    seen = readFileSync(file, 'utf8')
    const place = { file, line: 3, column: 5 }
    return [
      { severity: 'warning', place, message: 'odd' },
      { severity: 'error', place, message: 'this cannot be' },
    ]
  }
  const refused = await run({ root, check }, 'set', 'mtpolicyd/threshold=300')
  t.match(refused, { status: 1, reloads: 0, stdout: 'Setting mtpolicyd/threshold\n' })
  t.match(
    refused.stderr,
    /\.mtpolicyd\.conf\.staged:3:5: error: this cannot be\nE: nothing was stored/,
  )
  t.match(seen, /threshold = 300/, 'it was the candidate that was checked')
  t.equal(rendered(root), before)
  t.equal(stored(root).get('mtpolicyd/threshold'), '200')

  const warned = await run(
    { root, check: file => check(file).slice(0, 1) },
    'set',
    'mtpolicyd/threshold=300',
  )
  t.match(warned, { status: 0, reloads: 1, stderr: /warning: odd/ })
  t.equal(stored(root).get('mtpolicyd/threshold'), '300')
})

t.test('a value stored without its check does not reach the configuration', async t => {
  const root = t.testdir()
  const forced = await run({ root }, 'set', '--ignore-check', 'mtpolicyd/threshold=many')
  t.match(forced, {
    status: 1,
    stderr: /W: Value 'many' .*setting anyway\n.*threshold=many: expected/,
  })
  t.notOk(existsSync(target(root)))
})

t.test('a daemon that fails to reload is reported, and the values stay stored', async t => {
  const root = t.testdir()
  const reload = () => {
    throw new Error('it answered: not now')
  }
  const result = await run({ root, reload }, 'set', 'mtpolicyd/threshold=200')
  t.match(result, { status: 1, stderr: /old configuration: it answered: not now/ })
  t.equal(stored(root).get('mtpolicyd/threshold'), '200')
})

t.test('a hand-written configuration is not overwritten unless requested', async t => {
  for (const change of [
    (text: string) => text.replace('threshold = 1000', 'threshold = 5'),
    () => 'port = 12345\n',
    () => '',
    (text: string) => `${text}\n`,
  ]) {
    const root = t.testdir()
    await run({ root }, 'set', 'mtpolicyd/port=12345')
    const own = change(rendered(root))
    writeFileSync(target(root), own)

    const kept = await run({ root }, 'set', 'mtpolicyd/threshold=200')
    t.match(kept, { status: 0, reloads: 0, stdout: 'Create mtpolicyd/threshold\n' })
    t.match(
      kept.stderr,
      /^W: .* was written by hand and is kept; .* mtpolicyctl commit --force-template .*\n$/,
    )
    t.equal(rendered(root), own)
    t.equal(stored(root).get('mtpolicyd/threshold'), '200')
    const options = { registry: openRegistry({ root, env: {} }), templates: ours, check: () => [] }
    t.match(await ensureRendered(options), { origin: 'hand-written', text: own })

    t.match(await run({ root }, 'commit', '--force-template'), {
      status: 0,
      reloads: 1,
      stderr: '',
    })
    t.match(rendered(root), /threshold = 200/)
    t.equal(readFileSync(`${target(root)}.hand-written`, 'utf8'), own, 'kept beside')
  }
})

t.test(
  'a template with an unknown variable is rejected with its place and the nearest name',
  async t => {
    const root = t.testdir({ root: {}, templates: { etc: {} } })
    const file = join(root, 'templates/etc/x.conf.hbs')
    writeFileSync(
      file,
      'a = {{var "mtpolicyd/port"}}\n{{#if (var "mtpolicyd/treshold")}}x{{/if}}\n  {{quot (var "mtpolicyd/mode")}}\n',
    )
    const host = { root: join(root, 'root'), templates: join(root, 'templates') }
    const refused = await run(host, 'set', 'mtpolicyd/port=1')
    t.match(refused, { status: 1, reloads: 0 })
    t.ok(
      refused.stderr.startsWith(
        `${file}:2:12: error: "mtpolicyd/treshold" is not a host variable; did you mean "mtpolicyd/threshold"?\n`,
      ),
      refused.stderr,
    )
    t.ok(
      refused.stderr.includes(
        `${file}:3:3: error: there is no helper "quot"; did you mean "quote"?\n`,
      ),
    )
    t.equal(stored(host.root).get('mtpolicyd/port'), '12345')

    writeFileSync(file, 'port = 1\n{{#if x}\n')
    const unreadable = await run(host, 'set', 'mtpolicyd/port=1')
    t.match(unreadable, { status: 1 })
    t.ok(unreadable.stderr.startsWith(`${file}:2:1: error: cannot be parsed: `), unreadable.stderr)
  },
)

t.test('commit renders the files it is given, and reports unknown ones', async t => {
  const root = t.testdir()
  t.match(await run({ root }, 'commit'), {
    status: 0,
    reloads: 1,
    stdout: `File: ${target(root)}\n`,
  })
  t.match(await run({ root }, 'commit', target(root)), {
    reloads: 0,
    stdout: `File: ${target(root)}\n`,
  })
  const asOnTheHost = '/etc/univention-mtpolicyd/mtpolicyd.conf'
  t.match(await run({ root }, 'commit', asOnTheHost), { stdout: `File: ${target(root)}\n` })
  t.match(await run({ root }, 'commit', '/etc/nope'), {
    status: 0,
    stdout: '',
    stderr: "Warning: The file '/etc/nope' is not registered as an UCR template.\n",
  })
})

t.test('our variables are shown like described ones, with the defaults of the package', async t => {
  const root = t.testdir()
  t.equal((await run({ root }, 'get', 'mtpolicyd/port')).stdout, '12345\n')
  t.match((await run({ root }, 'dump')).stdout, /^mtpolicyd\/threshold: 1000$/m)
  t.match(
    (await run({ root, env: { LANG: 'de_DE.UTF-8' } }, 'info', 'mtpolicyd/port')).stdout,
    /^mtpolicyd\/port: 12345\n TCP-Port.*\n Categories: service-mail\n Default: 12345\n Type: portnumber\n\n$/,
  )
  t.match(
    (await run({ root }, 'search', '--brief', 'user/')).stdout,
    /user\/\.\*\/threshold: <empty>/,
  )
  const json = JSON.parse((await run({ root }, '--json', 'dump')).stdout)
  t.equal(json['mtpolicyd/allowedcountries'], 'DE')
  await run({ root }, 'set', 'mtpolicyd/user/ALICE/threshold=5')
  t.equal((await run({ root }, 'get', 'mtpolicyd/user/Alice/threshold')).stdout, '5\n')
  t.equal((await run({ root }, 'unset', 'mtpolicyd/user/aLice/threshold')).status, 0)
  t.notMatch(rendered(root), /alice/)
})

/** The lines of a configuration as the grammar sees them, implemented again and independently: */
function structure(text: string): Array<readonly [name: string, value: string]> {
  return text.split('\n').flatMap((line): Array<readonly [string, string]> => {
    if (line.startsWith('#') || /^\s*(#.*)?$/.test(line)) return []
    if (/\/\*|\*\//.test(line.replace(/conf\.d\/\*\.\w+/, ''))) throw new Error(`comment: ${line}`)
    const block = /^\s*(<\/?\w+)(?: (?:"([^"<>#\\]+)"|(\w+)))?>$/.exec(line)
    if (block !== null) return [[block[1] ?? '', block[2] ?? block[3] ?? '']]
    const quoted = /^\s*(\w+) = "((?:[^"\\#$]|\\["\\#$])*)"$/.exec(line)
    if (quoted !== null) return [[quoted[1] ?? '', (quoted[2] ?? '').replace(/\\(.)/g, '$1')]]
    const bare = /^\s*(\w+) = (\w+)$/.exec(line)
    if (bare !== null) return [[bare[1] ?? '', bare[2] ?? '']]
    if (/^\s*<<include conf\.d\/\*\.(conf|plugins)>>$/.test(line)) return []
    throw new Error(`not a line of ours: ${JSON.stringify(line)}`)
  })
}

t.test('no accepted value can create a line of its own', async t => {
  const root = t.testdir()
  await run({ root }, 'commit')
  const optional = [
    'clients',
    'timezone',
    'geoip_database',
    'default_domain',
    '<User',
    '</User',
    'countries',
    'threshold',
    'networks',
    'most_recipients',
    'excess',
    'language',
    'maillog',
    'alert_webhook',
    'alert_webhook_format',
    'alert_command',
    'alert_sender',
    'alert_language',
    '<Domain',
    '</Domain',
  ]
  const required = (text: string): string[] =>
    structure(text)
      .map(([option]) => option)
      .filter(option => !optional.includes(option))
  const plain = required(rendered(root))
  /** What is there if a variable is a number: a limit may have a block of its own. */
  const expected = new Map<string, readonly string[]>()
  const numbered = async (key: string): Promise<readonly string[]> => {
    await run({ root }, 'set', `${key}=5`)
    const lines = expected.get(key) ?? required(rendered(root))
    expected.set(key, lines)
    await run({ root }, 'unset', key)
    return lines
  }

  const hostile = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc
      .array(
        fc.constantFrom(
          '\n',
          '\r',
          '\u2028',
          '"',
          '\\',
          '#',
          '$',
          '/*',
          '*/',
          '<',
          '>',
          '</VirtualHost>',
          '{{var "x"}}',
          ' ',
          'DE',
          ',',
          '/',
          'a',
          '5',
          '*',
          '\0',
        ),
        { maxLength: 6 },
      )
      .map(parts => parts.join('')),
  )
  const plainNames = declarations.map(({ name }) => name).filter(name => !isPattern(name))
  const limits = plainNames.filter(name => name.includes('threshold/'))
  const assignment = fc.oneof(
    fc.tuple(fc.constantFrom(...plainNames), hostile),
    hostile.map(text => ['mtpolicyd/geoip/database', `/${text}`] as const),
    hostile.map(user => [`mtpolicyd/user/${user}/threshold`, '5'] as const),
    hostile.map(user => [`mtpolicyd/user/${nameKey(user)}/threshold`, '5'] as const),
    hostile.map(user => [`mtpolicyd/user/${nameKey(user)}/allowedcountries`, '*'] as const),
    hostile.map(user => [`mtpolicyd/user/${nameKey(user)}/threshold/message`, '5'] as const),
    hostile.map(user => [`mtpolicyd/user/${nameKey(user)}/allowednetworks`, '::1'] as const),
    hostile.map(domain => [`mtpolicyd/domain/${domain}/threshold/hour`, '5'] as const),
    hostile.map(domain => [`mtpolicyd/domain/${nameKey(domain)}/user/threshold`, '5'] as const),
    hostile.map(text => ['mtpolicyd/maillog', `/${text}`] as const),
    fc.tuple(fc.constantFrom(...limits), fc.constantFrom('', '0', '7', 'unlimited')),
  )
  let accepted = 0
  await fc.assert(
    fc.asyncProperty(assignment, async ([key, text]) => {
      const { status, stdout } = await run({ root }, 'set', `${key}=${text}`)
      if (status !== 0) return
      accepted++
      const lines = structure(rendered(root))
      const others = required(rendered(root))
      const parsed = parseConfig(target(root), configFiles)
      t.strictSame(parsed.problems, [], 'and the real parser reports nothing')
      if (key === 'mtpolicyd/geoip/database') {
        const shown = lines.find(([option]) => option === 'geoip_database')?.[1] ?? ''
        t.equal(shown, stored(root).get(key) ?? '')
      }
      const created = /^(?:Create|Setting) (.*)$/m.exec(stdout)?.[1]
      const isNumber = /^\d+$/.test(stored(root).get(created ?? '') ?? '')
      if (created !== undefined) await run({ root }, 'unset', created)
      const isLimit = created !== undefined && isNumber && created.includes('threshold')
      t.strictSame(others, isLimit ? await numbered(created) : plain)
    }),
    { numRuns: runs(300) },
  )
  t.ok(accepted > 20, `${accepted} of them were accepted`)
  for (const text of ['a"b', '\\', '#', '$x', ' ', '', "it's"]) {
    t.strictSame(structure(`x = ${quoteValue(text)}`), [['x', text]])
  }
  t.throws(() => quoteValue('a\nb'))
  t.throws(() => quoteValue('/*'))
})

t.test(
  'the daemon handles a configuration that is missing, outdated, damaged or not writable',
  async t => {
    const root = t.testdir()
    const check = () => []
    const load = (env = {}) => {
      return ensureRendered({ registry: openRegistry({ root, env }), templates: ours, check })
    }
    const fresh = await load()
    t.match(fresh, { file: target(root), origin: 'variables', notices: [] })
    t.equal(fresh.text, rendered(root), 'missing: rendered')

    const layer = join(root, 'etc/univention-mtpolicyd/registry/base.conf')
    writeFileSync(layer, '# univention_ base.conf\n\nmtpolicyd/threshold: 33')
    t.match((await load()).text, /threshold = 33/, 'edited by hand: rendered again')
    t.equal(rendered(root), (await load()).text)

    writeFileSync(layer, '# univention_ base.conf\n\nmtpolicyd/threshold: lots')
    const bad = await load()
    t.match(bad.text, /threshold = 33/, 'a bad value: the old file stays')
    t.match(
      bad.notices.map(formatNotice).join('\n'),
      /base\.conf:3:1: error: mtpolicyd\/threshold=lots: expected/,
    )

    writeFileSync(layer, '# univention_ base.conf\n\nmtpolicyd/threshold: 44')
    const inContainer = await load({ MTPOLICYD_THRESHOLD: '55', MTPOLICYD_DEBUG: 'x' })
    t.match(inContainer.text, /threshold = 55/)
    t.match(
      inContainer.notices.map(formatNotice).join('\n'),
      /MTPOLICYD_DEBUG=x: expected .*; the value below it is used/,
    )
    t.match(rendered(root), /threshold = 44/, 'the environment is not written into the file')
    t.match((await load({ MTPOLICYD_HOST: '0.0.0.0' })).text, /127\.0\.0\.1:12345/)
  },
)

t.test('with a bad value and no old file the daemon starts with the value below', async t => {
  const root = t.testdir()
  const layer = join(root, 'etc/univention-mtpolicyd/registry/base.conf')
  mkdirSync(dirname(layer), { recursive: true })
  writeFileSync(layer, '# univention_ base.conf\n\nmtpolicyd/debug: 3\nmtpolicyd/threshold: lots')
  const registry = openRegistry({ root, env: {} })
  const loaded = await ensureRendered({ registry, templates: ours, check: () => [] })
  t.match(loaded.text, /log_level = 3[\s\S]*threshold = 1000/)
  t.match(loaded.notices.map(formatNotice).join('\n'), /threshold=lots: expected/)
})

t.test('with UCR, values are stored there, and our configuration follows', async t => {
  const root = t.testdir()
  const program = join(root, 'usr/sbin/univention-config-registry')
  mkdirSync(dirname(program), { recursive: true })
  mkdirSync(join(root, 'etc/univention'), { recursive: true })
  const layer = join(root, 'etc/univention/base.conf')
  writeFileSync(layer, '# univention_ base.conf\n\nhostname: mail')
  // Enough of UCR for one assignment per call.
  writeFileSync(
    program,
    `#!/bin/sh
printf '%s\\n' "$*" >> '${root}/calls'
shift; case "$1" in --*) shift;; esac
printf '\\n%s: %s' "\${1%%=*}" "\${1#*=}" >> '${layer}'
echo "Create \${1%%=*}"; exit \${UCR_STATUS:-0}
`,
  )
  chmodSync(program, 0o755)

  const result = await run({ root }, 'set', 'mtpolicyd/allowedcountries=de, at')
  t.match(result, { status: 0, stderr: '', reloads: 1 })
  t.equal(result.stdout, `Create mtpolicyd/allowedcountries\nFile: ${target(root)}\n`)
  t.equal(readFileSync(join(root, 'calls'), 'utf8'), 'set mtpolicyd/allowedcountries=DE,AT\n')
  t.match(rendered(root), /countries = "DE,AT"/)
  t.equal((await run({ root }, 'get', 'hostname')).stdout, 'mail\n')
  t.notOk(existsSync(join(dirname(target(root)), '.mtpolicyd.conf.staged')))

  const refused = await run({ root }, 'set', 'mtpolicyd/threshold=-1')
  t.match(refused, { status: 2, stderr: /or unlimited/ })
  t.notMatch(readFileSync(join(root, 'calls'), 'utf8'), /threshold/, 'UCR was not even called')

  // A plain `ucr set` does not store our normal form; the hook runs commit.
  writeFileSync(layer, '# univention_ base.conf\n\nmtpolicyd/allowedcountries: fr , us')
  t.match(await run({ root }, 'commit'), { status: 0, reloads: 1 })
  t.match(rendered(root), /countries = "FR,US"/)
  await run({ root }, 'set', '--force', 'mtpolicyd/threshold=9')
  t.match(readFileSync(join(root, 'calls'), 'utf8'), /^set --force mtpolicyd\/threshold=9$/m)
})
