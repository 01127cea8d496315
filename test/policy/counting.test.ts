/** Limits are judged together: a mail is counted by all of them or by none, whatever refuses it. */

import t from 'tap'
import { definePlugin, type Limit } from '../../daemon/policy/plugin.ts'
import type { Judgement, Ledger, LedgerEvent, Preview } from '../../daemon/policy/ports/ledger.ts'
import { custom, text } from '../../daemon/policy/setting.ts'
import { LookupError } from '../../daemon/system/errors.ts'
import { chain, makeWorld, plugin } from '../support/world.ts'

/** What a counter has, and what the ledger was asked, in order. */
class Book implements Ledger {
  readonly counts = new Map<string, number>()
  readonly asked: string[] = []
  /** Answers as this says, later. */
  isLater = false
  failure: Error | undefined

  preview(event: LedgerEvent): Preview | Promise<Preview> {
    this.asked.push(`preview ${names(event)}`)
    return this.#answer(this.#standings(event))
  }

  judge(event: LedgerEvent): Judgement | Promise<Judgement> {
    this.asked.push(`judge ${names(event)}`)
    if (this.failure) throw this.failure
    const preview = this.#standings(event)
    const add = (sign: number): void => {
      if (!preview.accepted) return
      for (const { counter } of event.claims) {
        this.counts.set(counter, this.#used(counter) + sign * event.recipients)
      }
    }
    add(1)
    const takeBack = (): void => {
      this.asked.push('take back')
      add(-1)
    }
    return this.#answer({ ...preview, takeBack })
  }

  fitsAt(): undefined {}
  giveBack(): undefined {}
  takeBack(): void {}
  settle(): void {}
  disconnect(): void {}
  expire(): void {}
  used(counter: string): number {
    return this.#used(counter)
  }
  reset(): number {
    return 0
  }

  recipientOnlyServices(): string[] {
    return []
  }

  #used(counter: string): number {
    return this.counts.get(counter) ?? 0
  }

  #standings(event: LedgerEvent): Preview {
    const refuser = event.claims.findIndex(
      ({ counter, limit, enforce }) =>
        enforce !== false && this.#used(counter) + event.recipients > limit,
    )
    const standings = event.claims.map(({ counter }, place) => ({
      accepted: place !== refuser,
      used: this.#used(counter) + (refuser < 0 ? event.recipients : 0),
    }))
    return { accepted: refuser < 0, standings, repeated: false, isOverCap: false }
  }

  #answer<T>(value: T): T | Promise<T> {
    return this.isLater ? new Promise(resolve => setImmediate(resolve, value)) : value
  }
}

const names = ({ claims }: LedgerEvent): string => claims.map(({ counter }) => counter).join(' ')

/** A limit of recipients that holds mail back softly beyond `soft`. */
const cap = definePlugin({
  name: 'Cap',
  summary: 'A limit.',
  isLimit: true,
  settings: {
    most: custom('a number', value => Number(value), { doc: 'The limit.' }),
    soft: text({ doc: 'Beyond it mail is held.', fallback: '1000' }),
  },
  create({ most, soft }, { name, ledger }) {
    const limit: Limit = {
      ledger,
      counter: name,
      unit: 'recipients',
      most,
      mostRecipients: Number.POSITIVE_INFINITY,
      react: ({ accepted, used }, claim) => {
        if (!accepted || used > claim.limit) return `reject ${name}: ${used}`
        return used > Number(soft) ? `HOLD ${name}` : undefined
      },
      overCap: () => `reject ${name}: too many`,
      share: ({ used }) => used / most,
      note: () => undefined,
    }
    const window = { milliseconds: 60_000 }
    return (request, context) => {
      context.count(limit, request.account(''), window)
      return undefined
    }
  },
})

const said = definePlugin({
  name: 'Said',
  summary: 'Answers what the sender says, at once or later.',
  settings: {},
  create: () => request => {
    const [action = '', later] = request.text('sender').split('@')
    const outcome = action === '' ? undefined : action
    if (outcome === 'fail') throw new LookupError('out of order')
    return later === undefined ? outcome : new Promise(done => setImmediate(done, outcome))
  },
})

const limit = (name: string, most: number, more = ''): string =>
  plugin('Cap', `most = ${most}\n${more}`, name)
const SAID = plugin('Said')
const MAIL = {
  protocol_state: 'END-OF-MESSAGE',
  instance: 'i',
  sasl_username: 'alice',
  recipient_count: '2',
}

async function worldOf(blocks: string, globals = '') {
  const book = new Book()
  const world = await makeWorld(chain(blocks, globals), { plugins: [cap, said], ledger: book })
  t.strictSame(world.messages, [])
  return { world, book, ask: (more = {}) => world.ask({ ...MAIL, ...more }) }
}

for (const isLater of [false, true]) {
  const when = isLater ? 'a ledger that answers later' : 'a ledger that answers at once'

  t.test(`${when}: limits that follow each other are judged by one call`, async t => {
    const { book, ask } = await worldOf(SAID + limit('hour', 5) + limit('day', 8))
    book.isLater = isLater
    t.equal(await ask(), 'dunno')
    t.strictSame(book.asked, ['judge hour day'])
    t.strictSame(
      [...book.counts],
      [
        ['hour', 2],
        ['day', 2],
      ],
    )
  })

  t.test(`${when}: what one limit refuses, no other counts`, async t => {
    const { book, ask } = await worldOf(limit('day', 8) + limit('hour', 3))
    book.isLater = isLater
    t.equal(await ask(), 'dunno')
    t.equal(await ask({ instance: 'j' }), 'reject hour: 2')
    t.strictSame([...book.counts.values()], [2, 2])
  })

  t.test(`${when}: what a later plugin refuses was never counted`, async t => {
    const { book, ask } = await worldOf(limit('day', 8) + SAID)
    book.isLater = isLater
    for (const sender of ['reject no', '550 no', 'defer later', 'DEFER_IF_PERMIT', 'reject no@']) {
      t.equal(await ask({ sender }), sender.replace('@', ''))
    }
    t.strictSame(book.asked, Array(5).fill('preview day'))
    t.equal(book.counts.size, 0)
  })

  t.test(
    `${when}: held, redirected and discarded mail is counted: Postfix takes it over`,
    async t => {
      const { book, ask } = await worldOf(limit('day', 100) + SAID)
      book.isLater = isLater
      const senders = ['HOLD', 'DISCARD', 'REDIRECT a', 'PREPEND A: b', 'DEFER_IF_REJECT', 'ok']
      for (const sender of senders) await ask({ sender })
      t.equal(book.counts.get('day'), 2 * senders.length)
    },
  )

  t.test(`${when}: a full limit ends the chain at its place`, async t => {
    const { book, ask } = await worldOf(limit('day', 1) + SAID + limit('hour', 1))
    book.isLater = isLater
    t.equal(await ask({ sender: 'reject never asked' }), 'reject day: 0')
    t.strictSame(book.asked, ['preview day', 'judge day'])
  })

  t.test(`${when}: in observe mode an objection is noted, and the mail counted`, async t => {
    const { world, book, ask } = await worldOf(limit('day', 1) + SAID, 'mode = observe')
    book.isLater = isLater
    t.equal(await ask({ sender: 'reject no' }), 'dunno')
    t.equal(book.counts.get('day'), 2)
    t.match(JSON.stringify(world.verdicts), /reject no/)
  })
}

t.test('a limit that lets mail pass with an action answers it if nothing else refuses', async t => {
  const { book, ask } = await worldOf(limit('day', 100, 'soft = 1') + limit('hour', 3) + SAID)
  t.equal(await ask(), 'HOLD day')
  t.strictSame([...book.counts.values()], [2, 2])
  t.equal(
    await ask({ instance: 'j' }),
    'reject hour: 2',
    'the refusal of a later limit comes first',
  )
  t.strictSame([...book.counts.values()], [2, 2])
})

t.test(
  'a ledger that fails: the mail passes uncounted, is deferred, or gets no answer',
  async t => {
    for (const [onFailure, answer] of [
      ['dunno', /^dunno$/],
      ['defer', /^defer /],
      ['close', undefined],
    ] as const) {
      const { world, book, ask } = await worldOf(
        limit('day', 9) + limit('hour', 9),
        `on_failure = ${onFailure}`,
      )
      book.failure = new LookupError('no disk')
      const action = await ask()
      if (answer) t.match(action, answer)
      else t.equal(action, undefined)
      t.match(world.errors, [/plugin day failed: no disk/])
      t.equal(book.asked.length, 1, 'it is asked once')
    }
  },
)

t.test('a plugin that fails behind a limit', async t => {
  const { book, ask } = await worldOf(limit('day', 9) + SAID, 'on_failure = defer')
  t.match(await ask({ sender: 'fail' }), /^defer /)
  t.equal(book.counts.size, 0)
})

t.test('at a stage without a message nothing is counted', async t => {
  const { book, ask } = await worldOf(limit('day', 1))
  for (const protocol_state of ['CONNECT', 'EHLO', 'MAIL', 'VRFY', 'ETRN', '']) {
    t.equal(await ask({ protocol_state }), 'dunno')
  }
  t.strictSame(book.asked, [])
})

t.test('of two limits with one counter in a chain the first counts', async t => {
  const again = limit('day', 1).replace('<Plugin day>', '<Plugin other>\nname = day')
  const { book, ask } = await worldOf(limit('day', 5) + again)
  t.equal(await ask(), 'dunno')
  t.strictSame(book.asked, ['judge day'])
})

t.test('inside of Eval a limit is judged with the others, and check says so', async t => {
  const blocks = plugin('Eval', `store_in = said\n${limit('day', 1)}`, 'eval')
  const world = await makeWorld(chain(blocks), { plugins: [cap], ledger: new Book() })
  t.match(world.messages, [/<Plugin day> is a limit: what it refuses is refused/])
  t.equal(await world.ask(MAIL), 'reject day: 0')
})
