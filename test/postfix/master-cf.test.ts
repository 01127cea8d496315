/** master.cf as text: services, their options, and an item put into one of them. */

import t from 'tap'
import {
  brokenWord,
  doubleServices,
  insertIntoOption,
  type MasterService,
  optionOf,
  readServices,
} from '../../daemon/postfix/smtpd/master-cf.ts'

const END = 'smtpd_end_of_data_restrictions'
const HEAD = 'submission inet n - y - - smtpd'

function only(text: string): MasterService {
  const [service, ...rest] = readServices(text)
  if (!service || rest.length > 0) throw new Error(`not a service: ${text}`)
  return service
}

const values = (text: string) => only(text).options.map(({ name, value }) => `${name}=${value}`)

t.test('the columns of a service', async t => {
  t.match(only('127.0.0.1:10025 inet n - n - 4 smtpd\n'), {
    name: '127.0.0.1:10025/inet',
    address: '127.0.0.1:10025',
    type: 'inet',
    chroot: 'n',
    program: 'smtpd',
    line: 1,
    options: [],
    strayWord: undefined,
  })
  const text = '# smtp inet n - y - - smtpd\n\nsmtp\tinet n - - - -\n\tsmtpd\n  -v\n'
  t.match(only(text), { name: 'smtp/inet', chroot: '-', line: 3, program: 'smtpd' })
  t.equal(only(text).end, text.length - 1)
})

t.test('lines that are not a service', async t => {
  t.strictSame(readServices(''), [])
  t.strictSame(readServices('# nothing\n\n   # nothing\n'), [])
  t.strictSame(readServices('smtp inet n - y\n'), [])
})

t.test('the last of two entries for one service counts, at its position', async t => {
  const text = `${HEAD}\n  -o a=1\nsmtp inet n - y - - smtpd\n${HEAD}\n  -o a=2\n`
  const services = readServices(text)
  t.strictSame(services.map(({ name }) => name).sort(), ['smtp/inet', 'submission/inet'])
  const twice = services.find(({ name }) => name === 'submission/inet')
  t.equal(twice && optionOf(twice, 'a')?.value, '2')
  t.strictSame(doubleServices(text), ['submission/inet'])
  t.strictSame(doubleServices(`${HEAD}\nsubmission unix n - y - - smtpd\n`), [])
})

t.test('every way to write an option', async t => {
  for (const [text, expected] of [
    ['-o a=b', ['a=b']],
    ['-oa=b', ['a=b']],
    ['-o a=', ['a=']],
    ['-o a=b=c', ['a=b=c']],
    ['-o a=b,c -o d=e', ['a=b,c', 'd=e']],
    ['-o { a = b c }', ['a=b c']],
    ['-o {a=b}', ['a=b']],
    ['-o { a = }', ['a=']],
    ['-o a={b,c}', ['a={b,c}']],
    ['-o a={ b, c }', ['a={ b, c }']],
    ['-o a=$b', ['a=$b']],
    ['-o { a = { b = c } }', ['a={ b = c }']],
    ['-vo a=b', ['a=b']],
    ['-v -v -o a=b', ['a=b']],
    ['-vvoa=b', ['a=b']],
    ['-m 5 -o a=b', ['a=b']],
    ['-i5 -oa=b', ['a=b']],
    ['\n  -o a=b\n  # -o a=c\n\n\t-o d=e', ['a=b', 'd=e']],
    ['\n  -o { a =\n# no\n    b,\n    c }', ['a=b,    c']],
  ] as const) {
    t.strictSame(values(`${HEAD} ${text}\n`), expected, text)
    t.equal(only(`${HEAD} ${text}\n`).strayWord, undefined, text)
  }
})

t.test('a word that keeps smtpd from starting', async t => {
  for (const [text, word] of [
    ['-o a=b c', 'c'],
    ['-o a = b', 'a'],
    ['-o a', 'a'],
    ['-o =b', '=b'],
    ['-o { = b }', '{ = b }'],
    ['-o { a b = c }', '{ a b = c }'],
    ['-o a=b -o', '-o'],
    ['a=b', 'a=b'],
    ['-', '-'],
    ['-x', '-x'],
    ['-vx', '-vx'],
    ['-- a', 'a'],
    ['-m', '-m'],
  ] as const) {
    t.equal(only(`${HEAD} ${text}\n`).strayWord, word, text)
  }
  t.equal(only(`${HEAD} -o a=b --\n`).strayWord, undefined)
})

t.test('the position of an option', async t => {
  const text = `# one\n${HEAD}\n  -o a=b\n  -o { c =\n    d }\n`
  const service = only(text)
  t.equal(service.line, 2)
  const c = optionOf(service, 'c')
  t.match(c, { line: 4, isBraced: true, value: 'd' })
  t.equal(text.slice(c?.start, c?.end), 'd')
  const a = optionOf(service, 'a')
  t.match(a, { line: 3, isBraced: false })
  t.equal(text.slice(a?.start, a?.end), 'b')
})

t.test('an item is inserted first into a value, and nothing else changes', async t => {
  const item = 'check_policy_service,inet:127.0.0.1:1'
  for (const [what, before] of [
    ['a value', `${HEAD}\n  -o ${END}=permit_mynetworks,reject\n`],
    ['no value', `${HEAD}\n  -o ${END}=\n`],
    ['no value at the end of the file', `${HEAD} -o ${END}=`],
    ['no blank', `${HEAD}\n  -o${END}=permit\n`],
    ['braces', `${HEAD}\n  -o { ${END} = permit_mynetworks, reject }\n`],
    ['narrow braces', `${HEAD}\n  -o {${END}=reject}\n`],
    ['braces without a value', `${HEAD}\n  -o { ${END} = }\n`],
    ['narrow braces without a value', `${HEAD}\n  -o {${END}=}\n`],
    [
      'several lines',
      `${HEAD}\n  -o { ${END} =\n    # first\n    permit_mynetworks,\n    reject }\n`,
    ],
    ['the last of two', `${HEAD}\n  -o ${END}=a\n  -o ${END}=b\n`],
    [
      'with others around it',
      `${HEAD}\n  -o x=1\n  -o ${END}=a -o y=2\nsmtp inet n - y - - smtpd\n`,
    ],
  ] as const) {
    const service = readServices(before)[0]
    const option = service && optionOf(service, END)
    if (!service || !option) throw new Error(what)
    const { text, inserted } = insertIntoOption(before, option, item)
    const after = readServices(text)[0]
    const now = after && optionOf(after, END)
    t.ok(now?.value.startsWith(item), `${what}: it is first`)
    const old = now?.value.slice(item.length).replace(/^,\s*/, '')
    t.equal(old, option.value, `${what}: the rest is unchanged`)
    t.equal(after?.strayWord, undefined, what)
    t.equal(after?.options.length, service.options.length, what)
    t.equal(text.replace(inserted, ''), before, `${what}: cut out, it is as before`)
    t.equal(text.length, before.length + inserted.length, what)
  }
})

t.test('braces are removed by master, and only around a whole word', async t => {
  const options = (text: string) =>
    only(`${HEAD} ${text}\n`).options.map(({ name, value }) => [name, value])
  t.strictSame(options('{-o a=b c}'), [['a', 'b c']], 'around the option and its letter')
  t.strictSame(options('-o { a = b c }'), [['a', 'b c']])
  t.strictSame(options('-o{a=b}'), [['{a', 'b}']], 'after the letter they are part of the name')
})

t.test('a service can be written with the name or the number of its port', async t => {
  const twice = `submission inet n - y - - smtpd\n -o a=b\n587 inet n - y - - smtpd\n`
  t.strictSame(
    readServices(twice).map(({ name }) => name),
    ['587/inet'],
    'the last entry counts',
  )
  t.strictSame(doubleServices(twice), ['587/inet'])
  const apart = `smtp inet n - y - - smtpd\n127.0.0.1:25 inet n - y - - smtpd\n`
  t.equal(readServices(apart).length, 2, 'at another address it is another service')
})

t.test('unbalanced braces stop all of Postfix', async t => {
  for (const bad of ['-o { a = b { c }', '-o { a = b }x', '{']) {
    t.match(brokenWord(`${HEAD} -o x=y\n  ${bad}\n`), { line: 2 }, bad)
  }
  for (const good of ['-o { a = b }', '-o { a = b { c } d }', '-o a={b']) {
    t.equal(brokenWord(`${HEAD} ${good}\n`), undefined, good)
  }
})
