/**
 * A value is a value: none makes a line of its own in the registry's files, in the rendered
 * configuration or in systemd's drop-in, and none leads out of the directory it belongs to.
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { configFiles } from '../../daemon/config/files.ts'
import { parseConfig } from '../../daemon/config/parser.ts'
import type { Block } from '../../daemon/config/tree.ts'
import { formatNotice } from '../../daemon/policy/problem.ts'
import { ensureRendered } from '../../daemon/registry/ensure-rendered.ts'
import { openRegistry } from '../../daemon/registry/registry.ts'
import { declarations } from '../../daemon/registry/variables.ts'
import { runRegistryCommand } from '../support/command.ts'

const templates = new URL('../../templates', import.meta.url).pathname
const CONF = 'etc/univention-mtpolicyd/mtpolicyd.conf'
const BASE = 'etc/univention-mtpolicyd/registry/base.conf'
const DROP_IN = 'etc/systemd/system/univention-mtpolicyd.socket.d/listen.conf'

async function run(root: string, ...argv: string[]) {
  let said = ''
  const say = (text: string): void => {
    said += text
  }
  const io = { root, env: {}, templates, stdout: say, stderr: say }
  const status = await runRegistryCommand(argv, { ...io, check: () => [], reload: () => undefined })
  return { status, said }
}

function host(t: Test): string {
  const root = t.testdir()
  mkdirSync(join(root, 'etc/systemd/system'), { recursive: true })
  return root
}

/** What each value would like to become. */
const VALUES = [
  '5\nmtpolicyd/port: 1',
  '5\r\nthreshold = 999',
  '5\u2028port = 1',
  '5\u0085x',
  '5\0',
  '"\n<Plugin evil>\nmodule = Proxy\n</Plugin>\n"',
  '5"',
  '"',
  '\\',
  '5\\',
  "5'; id #",
  '5 # comment',
  '5 /* comment */',
  '{{var "mtpolicyd/port"}}',
  '{{{this}}}',
  '@%@mtpolicyd/port@%@',
  '<<EOT',
  '<<include /etc/passwd>>',
  '</VirtualHost>',
  '$(id)`id`',
  '%n%i%I',
  '/dev/null"\nx',
  '/a"b',
  '/a#b$c\\d',
  '../../etc/passwd',
  'a: b',
  '0.0.0.0\nListenStream=1',
  'example.org\nexec = x',
  'Europe/../../etc/passwd',
  'Europe/Berlin\nx = y',
  'x'.repeat(5000),
]

/** The shape of a file: which blocks and options it has, and nothing of their values. */
function shapeOf(block: Block): unknown {
  const names = block.options.map(({ name }) => name).filter(name => !OPTIONAL.has(name))
  return [block.type, names, block.blocks.map(shapeOf)]
}

/** What stands in the file only where it has a value. */
const OPTIONAL = new Set([
  'clients',
  'timezone',
  'geoip_database',
  'default_domain',
  'maillog',
  'alert_webhook',
  'alert_webhook_format',
  'alert_command',
  'alert_sender',
  'alert_language',
])

function parsed(t: Test, root: string, what: string): Block {
  const { root: tree, problems } = parseConfig(join(root, CONF), configFiles, {
    repeatableBlocks: ['VirtualHost'],
  })
  if (problems.length > 0) t.fail(`${what}: ${JSON.stringify(problems)}`)
  return tree
}

t.test('no value of a variable is more than a value', async t => {
  const root = host(t)
  await run(root, 'set', 'mtpolicyd/threshold=5')
  const shape = JSON.stringify(shapeOf(parsed(t, root, 'at first')))
  const directives = readFileSync(join(root, DROP_IN), 'utf8').split('\n').length
  const names = declarations.map(({ name }) => name).filter(name => !name.includes('.*'))
  t.ok(names.length >= 14)
  for (const name of names) {
    for (const value of VALUES) {
      const what = `${name}=${JSON.stringify(value.slice(0, 60))}`
      const { said, status } = await run(root, 'set', `${name}=${value}`)
      if (/[[\p{Cc}]--\n]/v.test(said)) t.fail(`${what} speaks to the terminal`)
      const tree = parsed(t, root, what)
      if (JSON.stringify(shapeOf(tree)) !== shape) t.fail(`${what} changes the file's shape`)
      for (const line of readFileSync(join(root, BASE), 'utf8').split('\n').slice(2)) {
        const [, key = ''] = /^([^:]+): /.exec(line) ?? []
        if (!names.includes(key)) t.fail(`${what} makes the line ${line}`)
      }
      for (const line of readFileSync(join(root, DROP_IN), 'utf8').split('\n')) {
        const isFine =
          /^(?:#.*|\[Socket\]|ListenStream=(?:[\d.]*|\[[\da-f:]*\]|@[\w-]+)?(?::\d+)?|)$/
        if (!isFine.test(line)) t.fail(`${what} makes ${line} of systemd's`)
      }
      if (status === 0) await run(root, 'unset', name)
    }
  }
  await run(root, 'set', 'mtpolicyd/threshold=5')
  t.equal(readFileSync(join(root, DROP_IN), 'utf8').split('\n').length, directives)
  t.ok(directives > 5)
})

t.test('what is stored past the checks is not rendered', async t => {
  const root = host(t)
  await run(root, 'set', 'mtpolicyd/threshold=5')
  const before = readFileSync(join(root, CONF), 'utf8')
  for (const value of VALUES) {
    for (const name of ['mtpolicyd/debug', 'mtpolicyd/host']) {
      const { status } = await run(root, 'set', '--ignore-check', `${name}=${value}`)
      const text = readFileSync(join(root, CONF), 'utf8')
      if (text !== before) t.fail(`${name}=${value.slice(0, 40)} is rendered`)
      if (status === 0) await run(root, 'unset', name)
    }
  }
  t.equal(readFileSync(join(root, CONF), 'utf8'), before)

  // As if somebody had written them by hand, or the environment of a container had them.
  for (const value of VALUES.filter(one => !/[\n\r]/.test(one))) {
    writeFileSync(
      join(root, BASE),
      `#\n\nmtpolicyd/threshold: ${value}\nmtpolicyd/host: ${value}\n`,
    )
    rmSync(join(root, CONF), { force: true })
    const env = { MTPOLICYD_TIMEZONE: value, MTPOLICYD_CLIENTS: value }
    const registry = openRegistry({ root, env })
    const rendered = await ensureRendered({ registry, templates, check: () => [] })
    const { text = '', notices } = rendered
    const lines = notices.map(formatNotice)
    if (/\p{Cc}/u.test(lines.join(''))) t.fail(JSON.stringify(lines))
    writeFileSync(join(root, 'rendered.conf'), text)
    const { problems, root: tree } = parseConfig(join(root, 'rendered.conf'), configFiles)
    const blocks = tree.blocks.map(({ type }) => type)
    if (problems.length > 0 || blocks.join() !== 'VirtualHost')
      t.fail(JSON.stringify(Buffer.from(value).toString('latin1')))
  }
})

t.test('no key leads out of the registry, and no value of it to other files', async t => {
  const root = host(t)
  await run(root, 'set', 'mtpolicyd/threshold=5')
  const listed = (): string[] =>
    readdirSync(root, { recursive: true, encoding: 'utf8' })
      .filter(name => !name.endsWith('.bak'))
      .toSorted()
  const before = listed()
  for (const key of [
    '../../../x',
    '/etc/passwd',
    'mtpolicyd/user/../../x/threshold',
    'mtpolicyd/user/^2E^2E^2F^2E^2E/threshold',
    '__proto__',
    'constructor/prototype',
    'a: b',
    'a\nb',
    '#a',
    'x'.repeat(300),
  ]) {
    await run(root, 'set', `${key}=1`)
  }
  t.strictSame(listed(), before)
  t.notOk(existsSync(join(root, '../x')))
  const { merged } = openRegistry({ root, env: {} }).snapshot()
  t.equal(merged.get('mtpolicyd/threshold'), '5')
  t.equal(merged.get('a'), undefined)
  t.equal(({} as Record<string, unknown>).threshold, undefined)
})

t.test('the shell form is for eval: nothing in it is run', async t => {
  const root = host(t)
  for (const value of ['$(id)', '`id`', "'; id; '", '"; id', 'a b', '-n', '\\']) {
    await run(root, 'set', `some/key=${value}`)
    const { said } = await run(root, 'shell', 'some/key')
    const quoted = value === '-n' ? '-n' : `'${value.replaceAll("'", `'"'"'`)}'`
    t.equal(said, `some_key=${quoted}\n`)
  }
})
