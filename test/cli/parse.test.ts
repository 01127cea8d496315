/** What the words of a command line mean, and what is said of those that mean nothing. */

import t from 'tap'
import { defineCommand } from '../../daemon/cli/command.ts'
import { complain } from '../../daemon/cli/complaint.ts'
import {
  controlOptions,
  json,
  jsonFilter,
  shellFilter,
  sortFilter,
} from '../../daemon/cli/options.ts'
import { type Call, parseCall } from '../../daemon/cli/parse.ts'

const about = { group: 'look', summary: '', more: '', run: () => 0 } as const

const wait = { type: 'number', argument: 'SECONDS', doc: '' } as const
const dir = { type: 'string', multiple: true, argument: 'DIR', doc: '' } as const
const check = defineCommand({ ...about, name: 'check', operands: '[FILE]', options: { json } })
const start = defineCommand({ ...about, name: 'unit start', options: { json, dir } })
const stop = defineCommand({ ...about, name: 'unit stop', options: { wait } })
const set = defineCommand({
  ...about,
  name: 'set',
  operands: 'NAME=VALUE ...',
  dialect: 'ucr',
  options: {
    force: { type: 'boolean', doc: '' },
    category: { type: 'string', argument: 'NAME', doc: '' },
    ...sortFilter,
  },
})
const get = defineCommand({
  ...about,
  name: 'get',
  operands: 'NAME',
  dialect: 'ucr',
  options: { shell: shellFilter, json: jsonFilter, ...sortFilter },
})
const program = {
  name: 'ctl',
  options: controlOptions,
  commands: [check, start, stop, set, get],
  dialect: 'own',
} as const

const parse = (line: string): Call => parseCall(line.split(' ').filter(Boolean), program)

function run(line: string) {
  const call = parse(line)
  if (call.kind !== 'run') return call
  const given = Object.entries(call.values).filter(([, value]) => {
    return value !== false && value !== undefined && (!Array.isArray(value) || value.length > 0)
  })
  return { name: call.command.name, root: call.root, ...Object.fromEntries(given) }
}

t.test('options and operands, in any order that is understood', async t => {
  const root = '/'
  for (const [line, expected] of [
    ['check', { name: 'check', root }],
    ['check --json a', { name: 'check', root, json: true, operands: ['a'] }],
    ['check a --json', { name: 'check', root, json: true, operands: ['a'] }],
    ['--json check a', { name: 'check', root, json: true, operands: ['a'] }],
    ['check -- --json', { name: 'check', root, operands: ['--json'] }],
    ['check -', { name: 'check', root, operands: ['-'] }],
    ['--root /r check', { name: 'check', root: '/r' }],
    ['--root=/r --json check', { name: 'check', root: '/r', json: true }],
    ['unit start --dir a --dir=b', { name: 'unit start', root, dir: ['a', 'b'] }],
    ['unit --dir a start', { name: 'unit start', root, dir: ['a'] }],
    ['unit stop --wait 20', { name: 'unit stop', root, wait: 20 }],
    ['set --force a=1 b=2', { name: 'set', root, force: true, operands: ['a=1', 'b=2'] }],
    ['set a=1 --force', { name: 'set', root, operands: ['a=1', '--force'] }],
    ['set -x=1', { name: 'set', root, operands: ['-x=1'] }],
    ['set --category c a=1', { name: 'set', root, category: 'c', operands: ['a=1'] }],
    ['--shell get a b', { name: 'get', root, shell: true, operands: ['a', 'b'] }],
    ['--sort get a', { name: 'get', root, sort: true, operands: ['a'] }],
    ['get a --json', { name: 'get', root, json: true, operands: ['a'] }],
    ['get --json a', { name: 'get', root, json: true, operands: ['a'] }],
  ] as const) {
    t.strictSame(run(line), expected, line)
  }
})

t.test('help is found wherever somebody puts it', async t => {
  const names = (line: string): unknown => {
    const call = parse(line)
    return call.kind === 'help' ? call.commands.map(({ name }) => name) : call
  }
  for (const line of ['--help', '-h', '-?', 'help', '--json --help']) {
    t.strictSame(names(line), [], line)
  }
  for (const line of [
    'check --help',
    'check -h',
    'help check',
    '--help check',
    'check --bad --help',
  ]) {
    t.strictSame(names(line), ['check'], line)
  }
  for (const line of ['unit --help', 'help unit']) {
    t.strictSame(names(line), ['unit start', 'unit stop'], line)
  }
  t.strictSame(names('unit start --help'), ['unit start'])
  t.strictSame(names('set a=1 --help'), ['set'])
  t.equal(parse('--version').kind, 'version')
})

t.test('a mistake is one line that says what would be right, and status 64', async t => {
  const said = (line: string) => {
    const call = parse(line)
    if (call.kind !== 'mistake') return call.kind
    const dialect = call.command?.dialect ?? 'own'
    const { text, status } = complain('ctl', call.mistake, dialect, call.command)
    return `${status} ${text.split('\n')[0]}`
  }
  for (const [line, expected] of [
    ['', '64 ctl: a command is missing'],
    ['chek', '64 ctl: unknown command "chek"; did you mean check?'],
    ['start', '64 ctl: unknown command "start"; did you mean unit start?'],
    ['unit', '64 ctl: "unit" needs one more word: start, stop'],
    ['unit strat', '64 ctl: unknown command "unit strat"'],
    ['unit stp', '64 ctl: unknown command "unit stp"; did you mean unit stop?'],
    ['help nothing', '64 ctl: unknown command "nothing"'],
    ['check --jsn', '64 ctl check: unknown option --jsn; did you mean --json?'],
    ['check --json=yes', '64 ctl check: unknown option --json=yes'],
    ['check -j', '64 ctl check: unknown option -j'],
    ['check a b', '64 ctl check: unexpected argument "b"'],
    ['unit start --dir', '64 ctl unit start: option --dir needs DIR'],
    ['unit start --dir --json', '64 ctl unit start: option --dir needs DIR'],
    ['--root', '64 ctl: option --root needs DIR'],
    ['--bogus', '64 ctl: unknown option --bogus'],
    [
      'unit stop --wait long',
      '64 ctl unit stop: option --wait: expected a whole number up to 9999, found "long"',
    ],
  ] as const) {
    t.equal(said(line), expected, line)
  }
  t.test('where the command is one of UCR’s, it is what UCR says', async t => {
    for (const [line, expected] of [
      ['set', '1 E: too few arguments for command [set]'],
      ['set --bogus a=1', '1 E: invalid option --bogus for command set'],
      ['set --force=1 a=1', '1 E: invalid option --force=1 for command set'],
      ['set -- a=1', '1 E: invalid option -- for command set'],
      ['--bogus set a=1', '1 E: unknown option --bogus'],
      ['--shell set a=1', '1 E: invalid option --shell for command set'],
      ['get --shell a', '1 E: invalid option --shell for command get'],
      ['set --category', '1 E: option --category for command set expects an argument'],
    ] as const) {
      t.equal(said(line), expected, line)
    }
  })
})
