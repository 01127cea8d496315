/** Where an account was seen, as the history's pages keep it. */

import t from 'tap'
import { PageWriter } from '../../daemon/history/page-writer.ts'
import { changedPage, readSights, WEEK } from '../../daemon/history/seen-page.ts'
import { Sights } from '../../daemon/history/sights.ts'

const SINCE = 2900 * WEEK

/** The texts of a record of the spool that sights are read from. */
function record(client: string, country: string, name: string): Buffer {
  const short = (text: string) =>
    Buffer.concat([Buffer.of(Buffer.byteLength(text)), Buffer.from(text)])
  return Buffer.concat([short(client), short(country), short(name)])
}

function seen(sights: Sights, client: string, country: string, name: string, second = 0): void {
  const bytes = record(client, country, name)
  const nameAt = bytes.length - 1 - Buffer.byteLength(name)
  sights.addOne(bytes, 0, nameAt, SINCE + second * 1000 + 999, 1)
}

/** As it is after a week's page was written and read. */
function kept(sights: Sights): Sights {
  const again = new Sights()
  readSights(pageOf(sights), 300, SINCE, again)
  return again
}

/** In a page between two others. */
function pageOf(sights: Sights): Buffer {
  const [writer, entry] = [new PageWriter(), new PageWriter()]
  const write = () => sights.write(SINCE, entry)
  return changedPage(Buffer.alloc(0), [299, 300, 301], write, writer, entry) ?? Buffer.alloc(0)
}

t.test('networks, countries and names come out of a page as they went in', async t => {
  const sights = new Sights()
  seen(sights, '192.0.2.77', 'DE', 'mail.example.net', 1)
  seen(sights, '255.255.255.255', 'FR', 'bücher.example', 2)
  seen(sights, '2001:db8:1:2:3::4', 'AT', 'unknown', 3)
  seen(sights, '::ffff:198.51.100.9', '', '', 4)
  seen(sights, '192.0.2.78', 'DE', 'mail.example.net', 5)
  for (const one of [sights, kept(sights)]) {
    const namesOf = (kind: 'network' | 'country' | 'client') => one.of(kind).map(({ name }) => name)
    t.strictSame(namesOf('network'), [
      '192.0.2.0/24',
      '198.51.100.0/24',
      '2001:db8:1:2::/64',
      '255.255.255.0/24',
    ])
    t.strictSame(namesOf('country'), ['DE', 'AT', 'FR'])
    t.strictSame(namesOf('client'), ['mail.example.net', 'bücher.example'])
    t.strictSame(one.of('network')[0], {
      name: '192.0.2.0/24',
      first: SINCE + 1000,
      last: SINCE + 5000,
      messages: 2,
    })
  }
})

t.test('what is no address has no network', async t => {
  const sights = new Sights()
  for (const client of [
    'unknown',
    '',
    '192.0.2',
    '192.0.2.7.8',
    '192.0.2.256',
    '192.0.02.7',
    '1..2.3',
    '192.0.2.',
    '.1.2.3',
    '999999999999',
  ]) {
    seen(sights, client, 'DE', 'unknown')
  }
  t.strictSame(sights.of('network'), [])
  t.equal(sights.of('country')[0]?.messages, 10)
})

t.test('a name in one kind is not taken for the same in another', async t => {
  const sights = new Sights()
  seen(sights, '68.69.0.1', 'DE', 'DE')
  t.strictSame(
    (['network', 'country', 'client'] as const).map(kind =>
      kept(sights)
        .of(kind)
        .map(one => one.name),
    ),
    [['68.69.0.0/24'], ['DE'], ['DE']],
  )
})

t.test('of many networks the last fifty are kept', async t => {
  const sights = new Sights()
  for (let i = 0; i < 1000; i++) seen(sights, `10.${i % 256}.${i >> 8}.1`, 'DE', 'unknown', i)
  const networks = kept(sights).of('network')
  t.equal(networks.length, 50)
  t.equal(networks[0]?.name, '10.231.3.0/24')
  t.equal(sights.of('country')[0]?.messages, 1000)
})

t.test('a page that ends too early is said to be damaged', async t => {
  const sights = new Sights()
  seen(sights, '192.0.2.77', 'DE', 'mail.example.net', 1)
  const page = pageOf(sights)
  t.throws(() => readSights(page.subarray(0, -1), 301, SINCE, new Sights()), RangeError)
  t.throws(
    () => readSights(Buffer.of(44, 6, 7, 1, 1, 1, 1, 1), 300, SINCE, new Sights()),
    RangeError,
  )
  t.throws(
    () => readSights(Buffer.of(44, 6, 2, 9, 1, 1, 1, 1), 300, SINCE, new Sights()),
    RangeError,
  )
})

t.test(
  'a page keeps accounts that nothing is changed of, and loses those that have nothing',
  async t => {
    const sights = new Sights()
    seen(sights, '192.0.2.77', 'DE', 'mail.example.net', 1)
    const page = pageOf(sights)
    const [writer, entry] = [new PageWriter(), new PageWriter()]
    const without = changedPage(page, [298, 300], () => undefined, writer, entry) ?? Buffer.alloc(0)
    const messagesOf = (account: number): number | undefined => {
      const found = new Sights()
      readSights(without, account, SINCE, found)
      return found.of('country')[0]?.messages
    }
    t.strictSame([298, 299, 300, 301, 302].map(messagesOf), [undefined, 1, undefined, 1, undefined])
    t.equal(
      changedPage(without, [299, 301], () => undefined, writer, entry),
      undefined,
    )
  },
)
