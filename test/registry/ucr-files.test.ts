/**
 * What is installed for UCR says what our declarations say: the description file is drawn from them,
 * and its patterns, read as UCR reads them, refuse nothing that we take.
 */

import fs from 'node:fs'
import path from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { readDescriptions } from '../../daemon/registry/descriptions.ts'
import { checkValue } from '../../daemon/registry/value-types.ts'
import { declarations } from '../../daemon/registry/variables.ts'
import { UCR_DESCRIPTIONS, ucrDescriptions } from '../../scripts/ucr-files.ts'
import { runs } from '../support/fuzz.ts'

const folder = path.dirname(path.dirname(UCR_DESCRIPTIONS))
const described = readDescriptions(path.dirname(UCR_DESCRIPTIONS))

t.test('the description file matches the declarations (node scripts/ucr-files.ts)', async t => {
  t.equal(fs.readFileSync(UCR_DESCRIPTIONS, 'utf8'), ucrDescriptions())
})

t.test(
  'every variable has a name, a UCR type, a category, and texts in both languages',
  async t => {
    const names = described.map(({ name }) => name)
    t.strictSame(names, [...declarations.map(({ name }) => name), 'mtpolicyd/autostart'])
    for (const { name, type, categories, description } of described) {
      t.ok(['str', 'int', 'bool', 'portnumber'].includes(type), `${name}: ${type}`)
      t.equal(categories, 'service-mail', name)
      t.ok(description.en && description.de && description.en !== description.de, name)
    }
    for (const { name, default: value } of declarations) {
      t.equal(described.find(one => one.name === name)?.default, value, `${name}: default`)
    }
  },
)

t.test('UCR accepts what we accept, and rejects what cannot be right', async t => {
  const samples: Record<string, { good: string[]; bad: string[] }> = {
    'mtpolicyd/allowedcountries': {
      good: ['DE', 'de, at ,CH', '*', ' * '],
      bad: ['', 'Germany', 'DE AT', 'DE,', 'DE,*'],
    },
    'mtpolicyd/threshold': {
      good: ['0', '200', '+5', ' 7 ', '-0', '1000000000', '0001', 'unlimited', 'Unlimited'],
      bad: ['', 'abc', '-1', '1e3', '1000000001', '20 0'],
    },
    'mtpolicyd/mode': { good: ['enforce', 'Observe'], bad: ['', 'on', 'enforced'] },
    'mtpolicyd/debug': { good: ['0', '4'], bad: ['5', '-1', 'a'] },
    'mtpolicyd/host': {
      good: ['localhost', '0.0.0.0', '2001:db8::1', '[2001:db8::1]', 'mail.example.org'],
      bad: ['', 'a b', 'http://x'],
    },
    'mtpolicyd/port': { good: ['1', '65535'], bad: ['0', '65536', 'x'] },
    'mtpolicyd/clients': {
      good: ['', '192.0.2.1', '192.0.2.0/24, 2001:db8::/32'],
      bad: ['mail.example.org', '192.0.2.1;'],
    },
    'mtpolicyd/timezone': { good: ['', 'Europe/Berlin', 'Etc/GMT+1'], bad: ['Europe Berlin'] },
    'mtpolicyd/defaultdomain': { good: ['', 'example.org', '@example.org'], bad: ['a@b', 'a b'] },
    'mtpolicyd/geoip/database': { good: ['', '/srv/my.mmdb'], bad: ['my.mmdb'] },
    'mtpolicyd/user/.*/threshold': { good: ['5', 'unlimited'], bad: ['', '-5', 'none'] },
    'mtpolicyd/threshold/hour': { good: ['', ' ', '5', 'unlimited'], bad: ['-5', 'none', '5 5'] },
    'mtpolicyd/domain/.*/user/threshold': { good: ['5', 'unlimited'], bad: ['', 'x'] },
    'mtpolicyd/excess': { good: ['', 'reject', 'Hold'], bad: ['drop', 'reject hold'] },
    'mtpolicyd/language': { good: ['', 'de'], bad: ['es', 'german'] },
    'mtpolicyd/allowednetworks': { good: ['', '192.0.2.0/24'], bad: ['vpn.example.org'] },
    'mtpolicyd/maillog': {
      good: ['', 'auto', 'None', ' journal ', '/var/log/mail.log'],
      bad: ['syslog', 'mail.log', 'auto,none'],
    },
  }
  for (const [name, { good, bad }] of Object.entries(samples)) {
    const theirs = described.find(one => one.name === name)
    const ours = declarations.find(one => one.name === name)
    if (!theirs || !ours) {
      t.fail(name)
      continue
    }
    for (const value of good) {
      t.equal(checkValue(ours, value).kind, 'good', `we take ${name}=${value}`)
      t.equal(checkValue(theirs, value).kind, 'good', `UCR takes ${name}=${value}`)
    }
    for (const value of bad) {
      t.equal(checkValue(theirs, value).kind, 'bad', `UCR refuses ${name}=${value}`)
      t.equal(checkValue(ours, value).kind, 'bad', `so do we`)
    }
  }
})

t.test('any text that we accept is accepted by UCR', async t => {
  const parts = [
    'DE',
    'at',
    ',',
    ' ',
    '*',
    '0',
    '17',
    '+',
    '-',
    '.',
    ':',
    '/',
    '@',
    'a.b',
    '::1',
    '1',
  ]
  const text = fc.array(fc.constantFrom(...parts), { maxLength: 6 }).map(words => words.join(''))
  for (const ours of declarations) {
    const theirs = described.find(({ name }) => name === ours.name)
    const isFine = (value: string) =>
      checkValue(ours, value).kind !== 'good' || checkValue(theirs ?? ours, value).kind === 'good'
    fc.assert(fc.property(text, isFine), { numRuns: runs(300) })
    t.pass(ours.name)
  }
})

t.test('the hook is called for our variables and the recipient list, and is installed', async t => {
  const info = fs.readFileSync(path.join(folder, 'univention-mtpolicyd.info'), 'utf8')
  const fields = info
    .trim()
    .split('\n')
    .map(line => line.split(': '))
  const patterns = fields.flatMap(([key, value]) => (key === 'Variables' && value ? [value] : []))
  const isHeard = (key: string) => patterns.some(pattern => new RegExp(`^${pattern}`).test(key))
  for (const { name } of described) t.ok(isHeard(name), name)
  t.ok(isHeard('mail/postfix/smtpd/restrictions/recipient/79'))
  t.notOk(isHeard('mail/postfix/mastercf/options/smtps/x'), 'what the hook itself sets')

  const module = fields.find(([key]) => key === 'Module')?.[1]
  t.ok(fs.existsSync(path.join(folder, 'modules', module ?? '')), 'the module is there')
  const rules = fs.readFileSync(path.join(folder, '../rules'), 'utf8')
  const places = {
    '*.info': 'templates/info',
    'modules/*.py': 'templates/modules',
    'variables/*.cfg': 'registry.info/variables',
    'services/*.cfg': 'service.info/services',
  }
  for (const [files, place] of Object.entries(places)) {
    t.match(rules, `debian/ucr/${files}`)
    t.match(rules, `etc/univention/${place}/`)
  }
})
