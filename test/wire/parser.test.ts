/**
 * Bytes to requests. How Postfix's bytes are cut into packets must not matter, and whatever else
 * comes must end in an error, not in memory or time.
 */

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import type { Attributes } from '../../daemon/policy/request.ts'
import { MOST_LINE_BYTES, ProtocolError } from '../../daemon/wire/attributes.ts'
import { MOST_REQUEST_BYTES, RequestParser } from '../../daemon/wire/parser.ts'

const fixtures = join(import.meta.dirname, '../fixtures/postfix-requests')

type Request = Readonly<Record<string, string>>

/** All that are complete with these bytes. */
function read(parser: RequestParser, bytes: Buffer, length = bytes.length): Attributes[] {
  const only = parser.only(bytes, length)
  if (only) return [only]
  parser.push(bytes, length)
  const requests: Attributes[] = []
  for (let next = parser.next(); next; next = parser.next()) requests.push(next)
  return requests
}

/** All requests in these pieces, one push each. */
function parse(...pieces: (string | Uint8Array)[]): Request[] {
  const parser = new RequestParser()
  return pieces.flatMap(piece => read(parser, Buffer.from(piece)).map(asObject))
}

const asObject = (request: Attributes): Request => Object.fromEntries(request)

t.test('what Postfix sent is read, each recorded request', async t => {
  for (const name of readdirSync(fixtures)) {
    const bytes = readFileSync(join(fixtures, name))
    const expected = bytes
      .toString()
      .split('\n\n')
      .slice(0, -1)
      .map(text => Object.fromEntries(text.split('\n').map(line => line.split(/=(.*)/s, 2))))
    t.ok(expected.length > 0, `${name} has requests`)
    t.same(parse(bytes), expected, name)
  }
})

t.test('a request cut at any byte is the same request', async t => {
  const bytes = readFileSync(join(fixtures, 'g16-smtputf8.txt'))
  const whole = parse(bytes)
  t.match(JSON.stringify(whole), /[^ -~]/, 'the recording has characters of several bytes')
  for (let cut = 0; cut <= bytes.length; cut++) {
    t.same(parse(bytes.subarray(0, cut), bytes.subarray(cut)), whole, `cut at ${cut}`)
  }
  t.same(parse(...[...bytes].map(byte => Uint8Array.of(byte))), whole, 'byte by byte')
})

t.test('several requests in one packet come out in order', async t => {
  t.same(parse('a=1\n\na=2\n\na=3\n\na=4\n'), [{ a: '1' }, { a: '2' }, { a: '3' }])
  t.same(parse('a=1\n\na=2', '\n\na=3\n', '\n'), [{ a: '1' }, { a: '2' }, { a: '3' }])
})

t.test('lines may end in CR LF, also mixed with LF', async t => {
  t.same(parse('a=1\r\nb=2\r\n\r\n'), [{ a: '1', b: '2' }])
  t.same(parse('a=1\nb=2\r\n\na=3\n\r\n'), [{ a: '1', b: '2' }, { a: '3' }])
  t.same(parse('a=1\r\r\n\n'), [{ a: '1\r' }], 'only one CR belongs to the line end')
  t.same(parse('a=\r\n\r\n'), [{ a: '' }])
  t.same(parse('a=1\r', '\n\r', '\n'), [{ a: '1' }])
})

t.test('the first "=" ends the name, nothing is trimmed, the last of equal names wins', async t => {
  t.same(parse('a=b=c==\n\n'), [{ a: 'b=c==' }])
  t.same(parse(' a = b \n\n'), [{ ' a ': ' b ' }])
  t.same(parse('a=1\na=2\nb=\na=3\n\n'), [{ a: '3', b: '' }])
  t.same(parse('=x\n\n'), [{ '': 'x' }])
  t.same(parse('__proto__=x\nconstructor=y\n\n')[0]?.constructor, 'y')
})

t.test('an empty line alone is a request without attributes', async t => {
  t.same(parse('\n'), [{}])
  t.same(parse('\r\n'), [{}])
  t.same(parse('\r', '\n'), [{}])
  t.same(parse('\n\na=1\n\n\n'), [{}, {}, { a: '1' }, {}])
})

t.test('what is no policy request is an error that says so', async t => {
  t.throws(() => parse('GET / HTTP/1.1\r\nHost: example.org\r\n\r\n'), ProtocolError)
  t.throws(() => parse('a=1\nno equals sign\n\n'), { message: /without "="/ })
  t.throws(() => parse('a=1\n', 'x\n\n'), ProtocolError)
})

t.test('bytes that are no UTF-8 become replacement characters, not an error', async t => {
  t.same(parse(Buffer.from('sender=a\xffb\n\n', 'latin1')), [{ sender: 'a\ufffdb' }])
})

t.test('a line that is too long is refused, at once and in pieces', async t => {
  const fits = `a=${'x'.repeat(MOST_LINE_BYTES - 2)}\n`
  t.same(Object.keys(parse(`${fits}b=1\n\n`)[0] ?? {}), ['a', 'b'])
  t.same(Object.keys(parse(fits, 'b=1\n\n')[0] ?? {}), ['a', 'b'])
  t.throws(() => parse(`a=${'x'.repeat(MOST_LINE_BYTES)}\n\n`), { message: /line longer/ })
  t.throws(() => parse(`a=${'x'.repeat(MOST_LINE_BYTES)}`), { message: /line longer/ })
})

t.test('a request that is too large is refused, at once and in pieces', async t => {
  const line = `a=${'x'.repeat(997)}\n`
  const lines = line.repeat(Math.ceil(MOST_REQUEST_BYTES / line.length))
  t.throws(() => parse(`${lines}\n`), { message: /request larger/ })
  const parser = new RequestParser()
  let taken = 0
  t.throws(
    () => {
      for (;;) {
        read(parser, Buffer.from(line))
        taken += line.length
      }
    },
    { message: /request larger/ },
  )
  t.ok(taken <= MOST_REQUEST_BYTES, 'and never holds more than the cap')
})

const bytesOf = (text: string): Buffer => Buffer.from(text, 'utf8')
const value = fc
  .string({ unit: 'binary', maxLength: 40 })
  .map(text => text.toWellFormed().replace(/[\r\n]/g, ''))
const name = value.map(text => text.replaceAll('=', ''))
const requests = fc.array(fc.array(fc.tuple(name, value), { maxLength: 8 }), { maxLength: 5 })

t.test('any cut of any requests gives these requests', async () => {
  fc.assert(
    fc.property(
      requests,
      fc.array(fc.nat({ max: 1000 }), { maxLength: 10 }),
      fc.constantFrom('\n', '\r\n'),
      (written, cuts, lineEnd) => {
        const bytes = bytesOf(
          written
            .map(lines => lines.map(([n, v]) => `${n}=${v}${lineEnd}`).join('') + lineEnd)
            .join(''),
        )
        const at = [0, ...cuts.filter(cut => cut < bytes.length), bytes.length].toSorted(
          (a, b) => a - b,
        )
        const parser = new RequestParser()
        // As they arrive: each packet over those of before, of this connection and of others.
        const arriving = Buffer.from('sender=stranger\n\n'.repeat(1 + bytes.length / 17))
        const found = at.flatMap((from, i) => {
          const length = bytes.copy(arriving, 0, from, at[i + 1] ?? from)
          return read(parser, arriving, length)
        })
        assert.deepEqual(
          found.map(request => [...request]),
          written.map(lines => [...new Map(lines)]),
        )
        assert.equal(parser.length, 0)
        assert.equal(parser.heldBytes, 0)
      },
    ),
  )
})

t.test('a packet ends where it ends, whatever lies behind it', async t => {
  const text = 'request=a\nsender=b\n\n'
  const bytes = Buffer.from(text)
  for (let length = 0; length < bytes.length; length++) {
    const parser = new RequestParser()
    t.equal(read(parser, Buffer.from(text)).length, 1)
    t.equal(read(parser, bytes, length).length, 0, `${length} bytes are no request`)
    t.strictSame(read(parser, bytes.subarray(length)).map(asObject), [
      { request: 'a', sender: 'b' },
    ])
  }
})

t.test('random bytes end in requests or a ProtocolError, whatever their cut', async () => {
  const byte = fc.oneof(fc.constantFrom(10, 13, 61, 0, 0xff, 0xc3), fc.nat({ max: 255 }))
  fc.assert(
    fc.property(fc.array(fc.array(byte, { maxLength: 60 }), { maxLength: 8 }), pieces => {
      const result = (chunks: number[][]): string => {
        const parser = new RequestParser()
        const found: string[] = []
        try {
          for (const chunk of chunks) {
            for (const request of read(parser, Buffer.from(chunk))) {
              found.push(JSON.stringify([...request]))
            }
          }
        } catch (error) {
          assert.ok(error instanceof ProtocolError)
          return 'refused'
        }
        return found.join()
      }
      assert.equal(result(pieces), result([pieces.flat()]))
    }),
  )
})

t.test('whatever was sent before, a request is read by its own names', async t => {
  const requests: readonly string[] = [
    'request=a\nsender=b\n\n',
    'request=c\nsender=d\n\n',
    'sender=e\nrequest=f\n\n',
    'request=g\n\n',
    'request=h\nsender=i\nsize=1\n\n',
    'request=j\nsenders=k\n\n',
    'request=l\nsender=m\r\n\n',
    'request=n\nsender=o\nsender=p\n\n',
    'request=q\nsender=\n\n',
    'request=r\nsender==s\n\n',
  ]
  const alone = requests.map(text => parse(text)[0])
  t.strictSame(alone.at(5), { request: 'j', senders: 'k' })
  t.strictSame(alone.at(7), { request: 'n', sender: 'p' }, 'the last of equal names counts')
  // Every order of two, so that each comes after each.
  for (const [i, first] of requests.entries()) {
    for (const [j, second] of requests.entries()) {
      t.strictSame(parse(first, second), [alone[i], alone[j]])
      t.strictSame(parse(first + second), [alone[i], alone[j]])
    }
  }
  parse('request=a\nsender=b\n\n')
  t.throws(() => parse('request=a\nsender\n\n'), ProtocolError)
  t.throws(() => parse('request=a\nsender=b\nx\n\n'), ProtocolError)
})

t.test('many small requests of changing names in a packet are read in one pass', async t => {
  const parser = new RequestParser()
  const packet = Buffer.from('a=\n\nb=\n\n'.repeat(8000))
  let requests = 0
  // Minutes, if each request searched through all that follows it.
  for (let packets = 0; packets < 64; packets++) requests += read(parser, packet).length
  t.equal(requests, 64 * 16_000)
})

t.test('what is asked for late, in another order or not at all is found where it is', async t => {
  const parser = new RequestParser()
  const sized = (size: number): Attributes => {
    const text = `request=a\nsender=ä${size}@example.org\nhelo_name=\nsize=${size}\n\n`
    const [attributes] = read(parser, Buffer.from(text))
    if (!attributes) throw new Error('no request')
    return attributes
  }
  const [first, second, third, fourth] = [sized(1), sized(2), sized(3), sized(4)]
  t.equal(third?.get('size'), '3')
  t.equal(fourth?.get('sender'), 'ä4@example.org')
  t.equal(third?.get('sender'), 'ä3@example.org')
  t.equal(third?.get('size'), '3', 'as before')
  t.equal(third?.get('nothing'), undefined)
  t.equal(third?.get('helo_name'), '')
  for (const [i, attributes] of [first, second, third, fourth, sized(5)].entries()) {
    t.equal(attributes?.get('size'), String(i + 1))
    t.equal(attributes?.get('request'), 'a')
    t.strictSame(
      [...(attributes ?? [])].map(([name]) => name),
      ['request', 'sender', 'helo_name', 'size'],
    )
  }
})

t.test('Postfixes that send other names take turns', async t => {
  const parser = new RequestParser()
  for (let round = 0; round < 3; round++) {
    for (let names = 1; names <= 40; names++) {
      const lines = Array.from({ length: names }, (_, i) => `name${names}_${i}=${i * round}\n`)
      const [request] = read(parser, Buffer.from(`${lines.join('')}\n`))
      t.equal(request?.get(`name${names}_${names - 1}`), String((names - 1) * round))
      t.equal(request?.get(`name${names + 1}_0`), undefined)
    }
  }
})

t.test('names that no Postfix sends hold nobody up, however long they are', async t => {
  const others = new RequestParser()
  for (const [count, length] of [
    [1, 33_000],
    [1, 250_000],
    [99, 10_000],
    [100, 60],
    [3, 4094 / 3],
  ] as const) {
    const line = (i: number): string => `${String(i).padEnd(length, 'n')}=${i}\n`
    const bytes = Buffer.from(`${Array.from({ length: count }, (_, i) => line(i)).join('')}\n`)
    for (let time = 0; time < 3; time++) {
      const [request] = read(new RequestParser(), bytes)
      t.equal(request?.get(String(count - 1).padEnd(length, 'n')), String(count - 1))
      t.strictSame(read(others, Buffer.from('size=1\n\n')).map(asObject), [{ size: '1' }])
    }
  }
})
