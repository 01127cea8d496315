import fc from 'fast-check'
import t from 'tap'
import { describe } from '../../daemon/registry/descriptions.ts'
import {
  canonicalKey,
  FORBIDDEN_IN_KEYS,
  nameInKey,
  nameKey,
  namePartProblem,
  userName,
  userNameProblem,
} from '../../daemon/registry/name-key.ts'
import { checkValue, isKnownType, truth } from '../../daemon/registry/value-types.ts'
import {
  contradictions,
  declarations,
  isPattern,
  type Variable,
} from '../../daemon/registry/variables.ts'

t.test("only the wiki's variables limit anything by default", async t => {
  const limits = declarations.filter(({ type }) => type === 'limit' || type === 'networks')
  const set = limits.filter(variable => variable.default !== '').map(({ name }) => name)
  t.strictSame(set, ['mtpolicyd/threshold'])
})

t.test("the wiki's five variables have the wiki's defaults", async t => {
  const defaults = new Map(declarations.map(({ name, default: value }) => [name, value]))
  t.equal(defaults.get('mtpolicyd/allowedcountries'), 'DE')
  t.equal(defaults.get('mtpolicyd/debug'), '1')
  t.equal(defaults.get('mtpolicyd/host'), 'localhost')
  t.equal(defaults.get('mtpolicyd/port'), '12345')
  t.equal(defaults.get('mtpolicyd/threshold'), '1000')
})

t.test('every declaration is complete, and its default is valid', async t => {
  for (const variable of declarations) {
    t.ok(isKnownType(variable.type), `${variable.name} has a type`)
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
  ['mtpolicyd/web/port', ' ', ''],
  ['mtpolicyd/web/port', '+8025', '8025'],
  ['mtpolicyd/web/host', '[::1]', '::1'],
  [
    'mtpolicyd/web/host',
    '/run/univention-mtpolicyd/web.sock',
    '/run/univention-mtpolicyd/web.sock',
  ],
  ['mtpolicyd/web/path', '/mail/', '/mail'],
  ['mtpolicyd/web/path', '/', ''],
  ['mtpolicyd/web/path', '/.well-known/..x', '/.well-known/..x'],
  ['mtpolicyd/web/names', 'Console.example.org, b.example ', 'console.example.org,b.example'],
  ['mtpolicyd/clients', ' 192.0.2.0/24 , 2001:DB8::/32 ', '192.0.2.0/24,2001:db8::/32'],
  ['mtpolicyd/timezone', 'Europe/Berlin', 'Europe/Berlin'],
  ['mtpolicyd/defaultdomain', '@Example.org', 'example.org'],
  ['mtpolicyd/mode', 'Observe', 'observe'],
  ['mtpolicyd/geoip/database', '/srv/geo ip.mmdb', '/srv/geo ip.mmdb'],
  ['mtpolicyd/threshold/hour', ' 020 ', '20'],
  ['mtpolicyd/threshold/hour', ' ', ''],
  ['mtpolicyd/threshold/minute', 'Unlimited', 'unlimited'],
  ['mtpolicyd/threshold/rolling', '0', '0'],
  ['mtpolicyd/threshold/message', '50', '50'],
  ['mtpolicyd/server/threshold', '', ''],
  ['mtpolicyd/server/threshold/hour', '+7', '7'],
  ['mtpolicyd/user/.*/threshold/hour', 'unlimited', 'unlimited'],
  ['mtpolicyd/domain/.*/threshold', '5000', '5000'],
  ['mtpolicyd/domain/.*/user/threshold', '50', '50'],
  ['mtpolicyd/excess', ' Defer ', 'defer'],
  ['mtpolicyd/excess', '', ''],
  ['mtpolicyd/language', 'FR', 'fr'],
  ['mtpolicyd/allowednetworks', '192.0.2.1, 2001:DB8::/32,', '192.0.2.1,2001:db8::/32'],
  ['mtpolicyd/user/.*/allowednetworks', '192.0.2.0/255.255.255.0', '192.0.2.0/255.255.255.0'],
  ['mtpolicyd/maillog', 'Journal', 'journal'],
  ['mtpolicyd/maillog', ' /var/log/mail.log ', '/var/log/mail.log'],
  ['mtpolicyd/maillog', '', ''],
  ['mtpolicyd/alert/mail', ' root , b@example.org', 'root,b@example.org'],
  ['mtpolicyd/alert/mail', 'None', 'none'],
  ['mtpolicyd/alert/webhook', ' https://example.org/a?b=c ', 'https://example.org/a?b=c'],
  ['mtpolicyd/alert/sender', 'mtpolicyd@example.org', 'mtpolicyd@example.org'],
  ['mtpolicyd/alert/near', '80', '80'],
]
const bad: ReadonlyArray<readonly [name: string, given: string, why: RegExp]> = [
  ['mtpolicyd/allowedcountries', 'Germany', /"Germany".*such as DE,AT or \*; did you mean DE\?$/],
  ['mtpolicyd/allowedcountries', 'Österreich', /did you mean AT\?$/],
  ['mtpolicyd/allowedcountries', 'UK', /did you mean GB\?$/],
  ['mtpolicyd/allowedcountries', 'DE,XX', /"XX" is not a country code/],
  ['mtpolicyd/allowedcountries', 'EU', /"EU"/],
  ['mtpolicyd/allowedcountries', '', /list is empty/],
  ['mtpolicyd/web/port', '0', /from 1 to 65535/],
  ['mtpolicyd/web/host', 'a b', /absolute path such as/],
  ['mtpolicyd/web/path', 'mail', /such as \/mail/],
  ['mtpolicyd/web/path', '/a b', /such as \/mail/],
  ['mtpolicyd/web/path', '/../x', /such as \/mail/],
  ['mtpolicyd/web/path', '/mail/.', /such as \/mail/],
  ['mtpolicyd/web/path', '/a"; Secure', /such as \/mail/],
  ['mtpolicyd/web/names', 'https://a.example', /"https:\/\/a.example": expected host names/],
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
  ['mtpolicyd/clients', 'example.org', /an address or a network/],
  ['mtpolicyd/clients', '192.0.2.1/', /an address or a network/],
  ['mtpolicyd/clients', '192.0.2.0/24/8', /an address or a network/],
  ['mtpolicyd/timezone', 'Berlin', /Europe\/Berlin/],
  ['mtpolicyd/geoip/database', 'relative.mmdb', /absolute path/],
  ['mtpolicyd/geoip/database', '/srv/*/x', /without/],
  ['mtpolicyd/postfix/register', 'maybe', /yes or no/],
  ['mtpolicyd/threshold/hour', '-1', /from 0 to 1000000000, unlimited, or nothing for no limit$/],
  ['mtpolicyd/threshold/minute', '1/60', /from 0 to 1000000000/],
  ['mtpolicyd/user/.*/threshold/hour', '', /from 0 to 1000000000, or unlimited$/],
  ['mtpolicyd/domain/.*/threshold/hour', '5k', /from 0 to 1000000000, or unlimited$/],
  ['mtpolicyd/excess', 'discard', /^expected one of: reject, defer, hold, or nothing for reject$/],
  ['mtpolicyd/language', 'german', /^expected one of: en, de, fr, or nothing for en$/],
  [
    'mtpolicyd/allowednetworks',
    '192.0.2.0-192.0.2.9',
    /"192.0.2.0-192.0.2.9": expected an address/,
  ],
  ['mtpolicyd/alert/mail', 'root;id', /^expected mail addresses/],
  ['mtpolicyd/alert/mail', '-oQ/tmp', /^expected mail addresses/],
  ['mtpolicyd/alert/mail', 'a b@example.org', /^expected mail addresses/],
  ['mtpolicyd/alert/webhook', 'file:///etc/passwd', /^expected a URL/],
  ['mtpolicyd/alert/webhook', 'https://a/"b', /^expected a URL/],
  ['mtpolicyd/alert/webhook', 'https://a/rooms/#alias:example.org', /without #/],
  ['mtpolicyd/alert/sender', 'a,b', /^expected a mail address/],
  ['mtpolicyd/alert/near', '0', /from 1 to 100/],
  ['mtpolicyd/maillog', 'syslog', /^expected auto, none, journal, or an absolute path/],
  ['mtpolicyd/maillog', '/var/log/*/x', /^expected auto/],
]

const descriptions = describe(declarations)
function variable(name: string): Variable {
  const found = descriptions.exact(name)
  if (found === undefined) throw new Error(`${name} is not declared`)
  return found
}

t.test('valid values are returned in their normal form', async t => {
  for (const [name, given, stored] of good) {
    t.strictSame(
      checkValue(variable(name), given),
      { kind: 'good', value: stored },
      `${name}=${given}`,
    )
  }
})

t.test('invalid values are rejected with a message that says what was expected', async t => {
  for (const [name, given, why] of bad) {
    const check = checkValue(variable(name), given)
    t.match(check, { kind: 'bad', expected: why }, `${name}=${given}`)
  }
})

t.test("UCR's own types accept what UCR accepts", async t => {
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
  t.equal(nameKey('Alice@Example.org'), 'alice@example.org')
  t.equal(nameKey('a b/c^*§:'), 'a^20b^2Fc^5E^2A^C2^A7^3A')
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), name => {
      const part = nameKey(name)
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

t.test('spellings of one user result in one key, and other keys are left alone', async t => {
  t.equal(canonicalKey('mtpolicyd/user/ALICE/threshold'), 'mtpolicyd/user/alice/threshold')
  t.equal(canonicalKey('mtpolicyd/user/a/b/threshold'), 'mtpolicyd/user/a^2Fb/threshold')
  t.equal(canonicalKey('mtpolicyd/user/$&/threshold'), 'mtpolicyd/user/^24^26/threshold')
  t.equal(canonicalKey('mtpolicyd/user/Alice/other'), 'mtpolicyd/user/Alice/other')
  t.equal(canonicalKey('Other/Key'), 'Other/Key')
  t.equal(userName('a^ZZ'), undefined)
  t.equal(userName('a^FF'), undefined)
})

t.test('spellings of one domain result in one key', async t => {
  for (const spelling of [
    'example.org',
    'Example.ORG',
    '@example.org',
    'example.org.',
    '^40example.org',
  ]) {
    t.equal(
      canonicalKey(`mtpolicyd/domain/${spelling}/threshold`),
      'mtpolicyd/domain/example.org/threshold',
    )
    t.equal(
      canonicalKey(`mtpolicyd/domain/${spelling}/user/threshold`),
      'mtpolicyd/domain/example.org/user/threshold',
    )
  }
  for (const spelling of [
    'müller.example',
    'MÜLLER.example',
    'xn--mller-kva.example',
    'm^C3^BCller.example',
  ]) {
    t.equal(
      canonicalKey(`mtpolicyd/domain/${spelling}/threshold/hour`),
      'mtpolicyd/domain/xn--mller-kva.example/threshold/hour',
    )
  }
  t.equal(namePartProblem('mtpolicyd/domain/intranet/threshold'), undefined)
  t.equal(namePartProblem('mtpolicyd/server/threshold'), undefined)
  for (const name of [
    '',
    '@',
    'a b.org',
    'a/b',
    'alice@example.org',
    '-a.org',
    'a..b',
    '^FF',
    '*',
    `${'a'.repeat(64)}.org`,
  ]) {
    const key = `mtpolicyd/domain/${name}/threshold`
    t.equal(namePartProblem(key), 'expected a domain such as example.org', key)
    t.equal(canonicalKey(key), key)
  }
})

t.test('each key belongs to one pattern, also where a shorter one would fit', async t => {
  const key = 'mtpolicyd/domain/example.org/user/threshold'
  t.equal(nameInKey('mtpolicyd/domain/.*/user/threshold', key), 'example.org')
  t.equal(nameInKey('mtpolicyd/domain/.*/threshold', key), undefined)
  t.equal(descriptions.find(key)?.name, 'mtpolicyd/domain/.*/user/threshold')
  t.equal(nameInKey('mtpolicyd/user/.*/threshold', 'mtpolicyd/user/a/threshold/hour'), undefined)
})

t.test('a user name that no block can have is rejected', async t => {
  for (const name of ['a"b', 'a>b', '<x', 'a#b', 'a\\b', 'a/*b', 'a*/b', ' a', 'a\nb', 'a\0']) {
    t.ok(userNameProblem(nameKey(name)), JSON.stringify(name))
  }
  t.ok(userNameProblem(''))
  for (const name of ['alice', 'a b', 'a/b', "o'neil", 'jürgen', 'a$b', 'alice@example.org']) {
    t.equal(userNameProblem(nameKey(name)), undefined, name)
  }
})

t.test('a host that is reachable from outside requires mtpolicyd/clients', async t => {
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
