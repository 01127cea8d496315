/**
 * main.cf as text: what is inserted can be removed again, byte for byte. No Postfix is needed here.
 */

import fc from 'fast-check'
import t from 'tap'
import { asks, recognise } from '../../daemon/postfix/registration/own-items.ts'
import { endpointName, restrictionItem } from '../../daemon/postfix/smtpd/endpoint.ts'
import {
  findDefinitions,
  insertItem,
  removeInserted,
  removeRestrictions,
} from '../../daemon/postfix/smtpd/main-cf.ts'
import { END_OF_DATA, tokenise } from '../../daemon/postfix/smtpd/restriction-list.ts'
import { runs } from '../support/fuzz.ts'

const endpoint = { host: 'localhost', port: 12345 }
const server = { kind: 'inet', host: '127.0.0.1', port: '12345' } as const
const ITEM = restrictionItem(server, '3.7.11')
const isOurs = (restriction: string, argument: string | undefined) =>
  asks(restriction, argument, [endpoint])

const blank = fc.constantFrom('', ' ', '\t', '  ')
const restriction = fc.constantFrom(
  'permit_mynetworks',
  'reject_unauth_pipelining',
  'check_policy_service inet:127.0.0.1:10023',
  'check_policy_service { inet:127.0.0.1:10031, timeout=3s }',
  '$mua_end_of_data_restrictions',
  ITEM,
)
const comment = fc.constantFrom('# note', '  # indented = note', `#${END_OF_DATA} = off`, '#')
const nothing = fc.constantFrom('', ' ', '\t')
const valueLine = fc
  .tuple(fc.constantFrom(' ', '\t', '    '), restriction, fc.constantFrom('', ',', ' '))
  .map(parts => parts.join(''))
const definition = fc
  .tuple(
    fc.constantFrom(END_OF_DATA, END_OF_DATA, 'smtpd_data_restrictions', 'myorigin'),
    blank,
    blank,
    fc.oneof(restriction, fc.constant('')),
    fc.array(fc.oneof(valueLine, comment, nothing), { maxLength: 4 }),
  )
  .map(([name, before, after, value, more]) => [`${name}${before}=${after}${value}`, ...more])
const mainCf = fc
  .tuple(
    fc.array(fc.oneof(definition, comment.map(Array.of), nothing.map(Array.of)), { maxLength: 8 }),
    fc.constantFrom('\n', '\n', '\r\n'),
    fc.boolean(),
  )
  .map(([parts, lineEnd, isEnded]) => parts.flat().join(lineEnd) + (isEnded ? lineEnd : ''))

t.test('what is inserted is removed again, byte for byte', async () => {
  fc.assert(
    fc.property(mainCf, text => {
      const edit = insertItem(text, END_OF_DATA, ITEM)
      return edit.text !== text && removeInserted(edit.text, END_OF_DATA, edit) === text
    }),
    { numRuns: runs(3000) },
  )
})

t.test('the item is first in the value that counts, and the rest of it is unchanged', async () => {
  fc.assert(
    fc.property(mainCf, text => {
      const words = (value: string | undefined) => tokenise(value ?? '').map(token => token.text)
      const before = words(findDefinitions(text, END_OF_DATA).at(-1)?.value)
      const after = findDefinitions(insertItem(text, END_OF_DATA, ITEM).text, END_OF_DATA).at(-1)
      const [first, second, ...rest] = words(after?.value)
      return `${first} ${second}` === ITEM && JSON.stringify(rest) === JSON.stringify(before)
    }),
    { numRuns: runs(3000) },
  )
})

t.test('lines that an administrator added meanwhile survive the removal', async () => {
  fc.assert(
    fc.property(mainCf, mainCf, (text, more) => {
      const edit = insertItem(text, END_OF_DATA, ITEM)
      const gap = edit.text.endsWith('\n') ? '' : '\n'
      // An appended line must not continue ours.
      const appended = `${gap}relayhost = [mail.example.net]\n${more.replaceAll(END_OF_DATA, 'other')}`
      const cut = removeInserted(edit.text + appended, END_OF_DATA, edit)
      const separated = text === '' || text.endsWith('\n') ? text : text + (gap || newline(text))
      return cut === separated + appended || cut === text + appended
    }),
    { numRuns: runs(2000) },
  )
})

t.test('an item is cut out whatever the layout', async t => {
  const cases: Record<string, [string, string]> = {
    'alone on its line': [`a = 1\n${END_OF_DATA} = ${ITEM}\nb = 2\n`, 'a = 1\nb = 2\n'],
    'first of two': [`${END_OF_DATA} = ${ITEM}, permit\n`, `${END_OF_DATA} = permit\n`],
    'last of two': [`${END_OF_DATA} = permit, ${ITEM}\n`, `${END_OF_DATA} = permit\n`],
    'in the middle': [`${END_OF_DATA}=a,${ITEM} , b\n`, `${END_OF_DATA}=a,b\n`],
    'on a line of its own, with comments around it': [
      `${END_OF_DATA} =\n  # why\n  a,\n# ours\n  ${ITEM},\n  b\n`,
      `${END_OF_DATA} =\n  # why\n  a,\n# ours\n  \n  b\n`,
    ],
    'without braces, as localhost': [
      `${END_OF_DATA} = check_policy_service inet:localhost:12345 a\n`,
      `${END_OF_DATA} = a\n`,
    ],
    'alone in the last of two, which counts': [
      `${END_OF_DATA} = reject\na = 1\n${END_OF_DATA} = ${ITEM}\n`,
      `${END_OF_DATA} = reject\na = 1\n${END_OF_DATA} = \n`,
    ],
    'over two lines': [
      `${END_OF_DATA} = check_policy_service\n  { inet:[::1]:12345,\n  timeout=1s } a\n`,
      `${END_OF_DATA} = \n  \n  a\n`,
    ],
  }
  for (const [name, [before, after]] of Object.entries(cases)) {
    t.equal(removeRestrictions(before, END_OF_DATA, isOurs), after, name)
  }
  const other = `${END_OF_DATA} = check_policy_service inet:127.0.0.1:12346\n`
  t.equal(removeRestrictions(other, END_OF_DATA, isOurs), other, 'another port is not ours')
})

t.test('an item that used to be the whole value leaves no comma to its neighbour', async t => {
  const edit = insertItem(`${END_OF_DATA} =\n`, END_OF_DATA, ITEM)
  const edited = edit.text.replace('}\n', '}, permit\n')
  t.equal(removeInserted(edited, END_OF_DATA, edit), undefined)
  t.equal(removeRestrictions(edited, END_OF_DATA, isOurs), `${END_OF_DATA} = permit\n`)
})

t.test('our line, continued by somebody, is not cut as a line', async t => {
  const edit = insertItem('a = 1\n', END_OF_DATA, ITEM)
  const edited = `${edit.text}  , permit\n`
  t.equal(removeInserted(edited, END_OF_DATA, edit), undefined)
  const [left] = findDefinitions(removeRestrictions(edited, END_OF_DATA, isOurs), END_OF_DATA)
  t.same(
    tokenise(left?.value ?? '').map(({ text }) => text),
    ['permit'],
  )
})

t.test(
  'a warn_if_reject in front of our item is removed with it, and does not apply to the next',
  async t => {
    const lists: Readonly<Record<string, string>> = {
      [`warn_if_reject ${ITEM}, reject_unknown_sender_domain`]: 'reject_unknown_sender_domain',
      [`permit_mynetworks, warn_if_reject, ${ITEM}`]: 'permit_mynetworks',
      [`warn_if_reject permit, Warn_If_Reject ${ITEM} reject`]: 'warn_if_reject permit, reject',
      [`${ITEM}, warn_if_reject reject`]: 'warn_if_reject reject',
      [`${ITEM}, ${ITEM}, permit`]: 'permit',
      [`permit, ${ITEM}, ${ITEM}`]: 'permit',
    }
    for (const [list, left] of Object.entries(lists)) {
      const text = `a = b\n${END_OF_DATA} = ${list}\n`
      t.equal(
        removeRestrictions(text, END_OF_DATA, isOurs),
        `a = b\n${END_OF_DATA} = ${left}\n`,
        list,
      )
    }
    const alone = `a = b\n${END_OF_DATA} = warn_if_reject ${ITEM}\n`
    t.equal(removeRestrictions(alone, END_OF_DATA, isOurs), 'a = b\n')

    const edit = insertItem(`${END_OF_DATA} = reject\n`, END_OF_DATA, ITEM)
    const edited = edit.text.replace('= ', '= warn_if_reject ')
    t.equal(removeInserted(edited, END_OF_DATA, edit), undefined, 'not cut as text that we wrote')
    t.equal(removeRestrictions(edited, END_OF_DATA, isOurs), `${END_OF_DATA} = reject\n`)
  },
)

t.test('our item is recognised in any spelling', async t => {
  for (const spelling of [
    'check_policy_service inet:127.0.0.1:12345',
    'check_policy_service inet:localhost:12345',
    'CHECK_POLICY_SERVICE INET:[::1]:12345',
    'check_policy_service,{inet:127.0.0.1:12345,default_action=DUNNO,timeout=5s}',
    'check_policy_service { inet:127.0.0.1:12345, { default_action = 450 4.7.1 later } }',
  ]) {
    t.same(recognise(`permit_mynetworks, ${spelling} reject`, [endpoint]), [spelling], spelling)
  }
  for (const foreign of [
    'check_policy_service inet:127.0.0.1:123456',
    'check_policy_service inet:192.0.2.1:12345',
    'check_policy_service unix:private/policy',
    'check_client_access inet:127.0.0.1:12345',
    'check_policy_service',
    '',
  ]) {
    t.same(recognise(foreign, [endpoint]), [], foreign)
  }
})

t.test('the item contains an address, and what to do if nothing answers', async t => {
  t.equal(
    restrictionItem(server, '3.7.11'),
    'check_policy_service { inet:127.0.0.1:12345, default_action=DUNNO, timeout=5s }',
  )
  t.equal(
    restrictionItem(server, '2.11.3'),
    'check_policy_service inet:127.0.0.1:12345',
    'Postfix 2.11 does not support braces',
  )
  for (const host of ['0.0.0.0', '*', 'LOCALHOST', '']) {
    t.equal(endpointName({ host, port: 1 }), 'inet:127.0.0.1:1', host)
  }
  t.equal(endpointName({ host: '::', port: 1 }), 'inet:[::1]:1', 'this wildcard is IPv6 only')
  t.equal(endpointName({ host: '2001:db8::1', port: 1 }), 'inet:[2001:db8::1]:1')
})

function newline(text: string): string {
  return text.includes('\r\n') ? '\r\n' : '\n'
}
