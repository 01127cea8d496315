import fc from 'fast-check'
import t from 'tap'
import { describe } from '../../daemon/registry/descriptions.ts'
import {
  canonicalKey,
  FORBIDDEN_IN_KEYS,
  userKey,
  userName,
  userNameProblem,
} from '../../daemon/registry/user-key.ts'
import { checkValue, truth, typeNames } from '../../daemon/registry/value-types.ts'
import {
  contradictions,
  declarations,
  isPattern,
  type Variable,
} from '../../daemon/registry/variables.ts'

t.test("the wiki's five variables have the wiki's defaults", async t => {
  const defaults = new Map(declarations.map(({ name, default: value }) => [name, value]))
  t.equal(defaults.get('mtpolicyd/allowedcountries'), 'DE')
  t.equal(defaults.get('mtpolicyd/debug'), '1')
  t.equal(defaults.get('mtpolicyd/host'), 'localhost')
  t.equal(defaults.get('mtpolicyd/port'), '12345')
  t.equal(defaults.get('mtpolicyd/threshold'), '1000')
})

t.test('every declaration is complete, and its default is a good value', async t => {
  for (const variable of declarations) {
    t.ok(typeNames.includes(variable.type), `${variable.name} has a type`)
    t.ok(variable.description.en && variable.description.de, `${variable.name} is described`)
    t.match(variable.name, /^mtpolicyd\/[a-z/.*]+$/)
    if (isPattern(variable.name)) continue
    t.strictSame(checkValue(variable, variable.default), { kind: 'good', value: variable.default })
  }
})

const good: ReadonlyArray<readonly [name: string, given: string, stored: string]> = [
  ['mtpolicyd/allowedcountries', 'de, At ,XK', 'DE,AT,XK'],
  ['mtpolicyd/allowedcountries', 'DE,DE', 'DE'],
  ['mtpolicyd/allowedcountries', ' * ', '*'],
  ['mtpolicyd/threshold', '0', '0'],
  ['mtpolicyd/threshold', ' 007 ', '7'],
  ['mtpolicyd/threshold', '1000000000', '1000000000'],
  ['mtpolicyd/threshold', 'UnLimited', 'unlimited'],
  ['mtpolicyd/debug', '+4', '4'],
  ['mtpolicyd/host', 'Mail.Example.ORG', 'mail.example.org'],
  ['mtpolicyd/host', '[2001:DB8::1]', '2001:db8::1'],
  ['mtpolicyd/host', '0.0.0.0', '0.0.0.0'],
  ['mtpolicyd/port', '65535', '65535'],
  ['mtpolicyd/clients', ' 192.0.2.0/24 , 2001:DB8::/32 ', '192.0.2.0/24,2001:db8::/32'],
  ['mtpolicyd/timezone', 'Europe/Berlin', 'Europe/Berlin'],
  ['mtpolicyd/defaultdomain', '@Example.org', 'example.org'],
  ['mtpolicyd/mode', 'Observe', 'observe'],
  ['mtpolicyd/geoip/database', '/srv/geo ip.mmdb', '/srv/geo ip.mmdb'],
]
const bad: ReadonlyArray<readonly [name: string, given: string, why: RegExp]> = [
  ['mtpolicyd/allowedcountries', 'Germany', /"Germany".*such as DE,AT or \*; did you mean DE\?$/],
  ['mtpolicyd/allowedcountries', 'Österreich', /did you mean AT\?$/],
  ['mtpolicyd/allowedcountries', 'UK', /did you mean GB\?$/],
  ['mtpolicyd/allowedcountries', 'DE,XX', /"XX" is not a country code/],
  ['mtpolicyd/allowedcountries', 'EU', /"EU"/],
  ['mtpolicyd/allowedcountries', '', /list is empty/],
  ['mtpolicyd/allowedcountries', ' , ', /list is empty/],
  ['mtpolicyd/allowedcountries', 'DE,', /empty entry/],
  ['mtpolicyd/allowedcountries', 'DE,*', /"\*"/],
  ['mtpolicyd/threshold', '-1', /from 0 to 1000000000, or unlimited/],
  ['mtpolicyd/threshold', '1000000001', /from 0/],
  ['mtpolicyd/threshold', '1_000', /from 0/],
  ['mtpolicyd/threshold', '0x10', /from 0/],
  ['mtpolicyd/debug', '5', /from 0 to 4/],
  ['mtpolicyd/port', '0', /from 1 to 65535/],
  ['mtpolicyd/port', '70000', /from 1 to 65535/],
  ['mtpolicyd/host', '300.1.2.3', /host name or an address/],
  ['mtpolicyd/host', 'a b', /host name/],
  ['mtpolicyd/host', '', /host name/],
  ['mtpolicyd/clients', '192.0.2.0/33', /"192.0.2.0\/33"/],
  ['mtpolicyd/clients', 'example.org', /addresses or networks/],
  ['mtpolicyd/timezone', 'Berlin', /Europe\/Berlin/],
  ['mtpolicyd/geoip/database', 'relative.mmdb', /absolute path/],
  ['mtpolicyd/geoip/database', '/srv/*/x', /without/],
  ['mtpolicyd/postfix/register', 'maybe', /yes or no/],
]

const descriptions = describe(declarations)
function variable(name: string): Variable {
  const found = descriptions.exact(name)
  if (found === undefined) throw new Error(`${name} is not declared`)
  return found
}

t.test('good values come back in their normal form', async t => {
  for (const [name, given, stored] of good) {
    t.strictSame(
      checkValue(variable(name), given),
      { kind: 'good', value: stored },
      `${name}=${given}`,
    )
  }
})

t.test('bad values are refused, and told what was expected', async t => {
  for (const [name, given, why] of bad) {
    const check = checkValue(variable(name), given)
    t.match(check, { kind: 'bad', expected: why }, `${name}=${given}`)
  }
})

t.test("UCR's own types take what UCR takes", async t => {
  const cases: ReadonlyArray<readonly [type: string, value: string, isGood: boolean]> = [
    ['str', 'anything', true],
    ['nonsense', 'an unknown type is text', true],
    ['int', '-3', true],
    ['int', '3.5', false],
    ['uint', '-3', false],
    ['pint', '0', false],
    ['portnumber', '0', true],
    ['portnumber', '65536', false],
    ['bool', 'Enabled', true],
    ['bool', '2', false],
    ['ipv4address', '192.0.2.1', true],
    ['ipv4address', '2001:db8::1', false],
    ['ipv6address', '2001:db8::1', true],
    ['ipv6address', '192.0.2.1', false],
    ['ipaddress', '192.0.2.1', true],
    ['ipaddress', 'example.org', false],
    ['url_http', 'https://example.org/x', true],
    ['url_http', 'ftp://example.org/', false],
    ['url_proxy', 'http://192.0.2.1:3128', true],
    ['json', '{"a":[1]}', true],
    ['json', '{a}', false],
    ['cron', '*/5 4 * * mon-fri', true],
    ['cron', '@daily', true],
    ['cron', '5 4 * *', false],
  ]
  for (const [type, value, isGood] of cases) {
    t.equal(checkValue({ type }, value).kind, isGood ? 'good' : 'bad', `${type} ${value}`)
  }
  const list = { type: 'list', elementType: 'uint', separator: ';' }
  t.equal(checkValue(list, '1; 2;3').kind, 'good')
  t.match(checkValue(list, '1;x'), { kind: 'bad', expected: /"x"/ })
  t.equal(checkValue({ type: 'int', min: '5', max: '1' }, '3').kind, 'broken')
  t.equal(truth('ON'), true)
  t.equal(truth('maybe'), undefined)
})

t.test('any login name survives being part of a key, folded', async t => {
  t.equal(userKey('Alice@Example.org'), 'alice@example.org')
  t.equal(userKey('a b/c^*§:'), 'a^20b^2Fc^5E^2A^C2^A7^3A')
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), name => {
      const part = userKey(name)
      const key = `mtpolicyd/user/${part}/threshold`
      return (
        userName(part) === name.toLowerCase() &&
        !FORBIDDEN_IN_KEYS.test(part) &&
        !/[\s/*]/.test(part) &&
        canonicalKey(key) === key
      )
    }),
  )
})

t.test('spellings of one user are one key, and other keys are left alone', async t => {
  t.equal(canonicalKey('mtpolicyd/user/ALICE/threshold'), 'mtpolicyd/user/alice/threshold')
  t.equal(canonicalKey('mtpolicyd/user/a/b/threshold'), 'mtpolicyd/user/a^2Fb/threshold')
  t.equal(canonicalKey('mtpolicyd/user/$&/threshold'), 'mtpolicyd/user/^24^26/threshold')
  t.equal(canonicalKey('mtpolicyd/user/Alice/other'), 'mtpolicyd/user/Alice/other')
  t.equal(canonicalKey('Other/Key'), 'Other/Key')
  t.equal(userName('a^ZZ'), undefined)
  t.equal(userName('a^FF'), undefined)
})

t.test('a user name that no block can carry is refused', async t => {
  for (const name of ['a"b', 'a>b', '<x', 'a#b', 'a\\b', 'a/*b', 'a*/b', ' a', 'a\nb', 'a\0']) {
    t.ok(userNameProblem(userKey(name)), JSON.stringify(name))
  }
  t.ok(userNameProblem(''))
  for (const name of ['alice', 'a b', 'a/b', "o'neil", 'jürgen', 'a$b', 'alice@example.org']) {
    t.equal(userNameProblem(userKey(name)), undefined, name)
  }
})

t.test('a host that others can reach needs to know who may connect', async t => {
  const of = (host: string, clients = '') =>
    contradictions(
      new Map([
        ['mtpolicyd/host', host],
        ['mtpolicyd/clients', clients],
      ]),
    ).length
  t.equal(of('localhost'), 0)
  t.equal(of('127.0.0.5'), 0)
  t.equal(of('::1'), 0)
  t.equal(of('0.0.0.0'), 1)
  t.equal(of('0.0.0.0', '192.0.2.0/24'), 0)
})
