/**
 * The contract of the `Ledger` port, for every implementation: what is counted, once per message, by all
 * limits or by none; what is given back; what a preview, a cap and `enforce` mean. Every answer is
 * awaited, as callers do.
 */

import t, { type Test } from 'tap'
import type { Claim, Judgement, Ledger, LedgerEvent } from '../../daemon/policy/ports/ledger.ts'

/** After this many messages in a row without a request at their end, a service is known to send none. */
const MISSED_ENDS = 50
const NOON = Date.UTC(2026, 10, 20, 12)
const MINUTE = 60_000
const HOUR = 3_600_000
const DAY = 86_400_000

/** An implementation at work. */
export interface Subject {
  readonly ledger: Ledger
  /** As a new process finds what was settled; undefined if nothing outlives this one. */
  restarted?(): Ledger | Promise<Ledger>
  close(): void | Promise<void>
}

type Asked = Partial<LedgerEvent> & Pick<LedgerEvent, 'stage' | 'instance'>

/** A judgement by one claim at least, and where the first stands. */
interface Answer extends Judgement {
  readonly used: number
}

/** A subject with a clock, and a limit for those who name none. */
class Desk {
  ledger: Ledger
  limit = 5
  now = NOON
  readonly #subject: Subject

  constructor(subject: Subject) {
    this.#subject = subject
    this.ledger = subject.ledger
  }

  nextDay(): void {
    this.now += DAY
  }

  /** Recipients a day. */
  claim(asked: Partial<Claim> = {}): Claim {
    const midnight = Math.floor(this.now / DAY) * DAY
    return {
      counter: 'default',
      subject: 'alice',
      window: { name: new Date(midnight).toISOString().slice(0, 10), endsAt: midnight + DAY },
      unit: 'recipients',
      limit: this.limit,
      ...asked,
    }
  }

  /** Recipients within the last hour. */
  hourly(asked: Partial<Claim> = {}): Claim {
    return this.claim({ counter: 'hourly', window: { milliseconds: HOUR }, ...asked })
  }

  event(asked: Asked): LedgerEvent {
    const account = asked.account ?? 'alice'
    return Object.freeze({
      account,
      connection: 1,
      service: '192.0.2.1:587',
      recipient: '',
      recipients: 1,
      bytes: 0,
      queueId: '',
      mostRecipients: Number.POSITIVE_INFINITY,
      now: this.now,
      claims: [this.claim({ subject: account })],
      ...asked,
    })
  }

  async judge(asked: Asked): Promise<Answer> {
    const judgement = await this.ledger.judge(this.event(asked))
    return { ...judgement, used: judgement.standings[0]?.used ?? Number.NaN }
  }

  /** Without enforcement. */
  async observe(asked: Asked): Promise<Answer> {
    return await this.judge({ ...asked, claims: [this.claim({ enforce: false })] })
  }

  async used(subject = 'alice', counter = 'default'): Promise<number> {
    return await this.usedFor(this.claim({ subject, counter }))
  }

  async usedFor({ counter, subject, window }: Claim): Promise<number> {
    return await this.ledger.used(counter, subject, window, this.now)
  }

  /** False if this implementation keeps nothing. */
  async restart(): Promise<boolean> {
    await this.ledger.settle()
    const next = await this.#subject.restarted?.()
    if (next) this.ledger = next
    return next !== undefined
  }
}

export function ledgerContract(name: string, make: (t: Test) => Subject | Promise<Subject>): void {
  const story = (title: string, work: (t: Test, desk: Desk) => Promise<void>): void => {
    t.test(`${name}: ${title}`, async t => {
      const subject = await make(t)
      try {
        await work(t, new Desk(subject))
      } finally {
        await subject.close()
      }
    })
  }
  countingStories(story)
  reservationStories(story)
  otherAnswerStories(story)
  manyLimitStories(story)
  windowStories(story)
  giveBackStories(story)
  resetStories(story)
}

type Story = (title: string, work: (t: Test, desk: Desk) => Promise<void>) => void

function countingStories(story: Story): void {
  for (const stages of [['END-OF-MESSAGE'], ['RCPT'], ['RCPT', 'END-OF-MESSAGE']] as const) {
    story(
      `an account on many connections gets exactly its limit, at ${stages}`,
      async (t, desk) => {
        desk.limit = 7
        let passed = 0
        for (let connection = 0; connection < 40; connection++) {
          const message = { instance: `m${connection}`, connection, recipient: 'bob@example.org' }
          let isPassed = true
          for (const stage of stages) {
            isPassed &&= (await desk.judge({ ...message, stage })).accepted
          }
          if (isPassed) passed++
        }
        t.equal(passed, 7)
      },
    )
  }

  story(
    'a refused message is refused again, also with a higher limit or after a restart',
    async (t, desk) => {
      const message = { stage: 'END-OF-MESSAGE', instance: 'a', recipients: 3 } as const
      desk.limit = 2
      t.notOk((await desk.judge(message)).accepted)
      desk.limit = 10
      t.match(await desk.judge(message), { accepted: false, repeated: true, used: 0 })
      await desk.restart()
      const isKnown = await desk.judge(message)
      if (await desk.restart()) t.match(isKnown, { accepted: false, repeated: true, used: 0 })
    },
  )

  story(
    'what was settled is there after a restart, and its messages are known',
    async (t, desk) => {
      const message = { stage: 'END-OF-MESSAGE', instance: 'a', recipients: 3 } as const
      await desk.judge(message)
      if (!(await desk.restart())) return
      t.match(await desk.judge(message), { accepted: true, repeated: true, used: 3 })
      t.equal(await desk.used(), 3)
    },
  )

  story('what is not a number of recipients counts nothing, and fails', async (t, desk) => {
    for (const recipients of [Number.NaN, Number.POSITIVE_INFINITY, 1.5]) {
      for (const stage of ['DATA', 'END-OF-MESSAGE'] as const) {
        await t.rejects(desk.judge({ stage, instance: 'a', recipients }), {
          name: 'RangeError',
          message: /not a number of recipients/,
        })
      }
    }
    t.match(await desk.judge({ stage: 'END-OF-MESSAGE', instance: 'a', recipients: 2 }), {
      used: 2,
    })
  })

  // Another rule at DATA refuses, e.g. reject_unauth_pipelining: the message stays open.
  for (const stage of ['DATA', 'END-OF-MESSAGE'] as const) {
    story(
      `recipients added after DATA are counted, and refused beyond the limit at ${stage}`,
      async (t, desk) => {
        t.ok((await desk.judge({ stage: 'DATA', instance: 'a', recipients: 1 })).accepted)
        t.ok((await desk.judge({ stage: 'DATA', instance: 'a', recipients: 4 })).accepted)
        t.equal(await desk.used(), 4, 'the number has grown')
        const grown = await desk.judge({ stage, instance: 'a', recipients: 100 })
        t.match(grown, { accepted: false, used: 0 }, 'refused as a whole')
        t.notOk((await desk.judge({ stage, instance: 'a', recipients: 1 })).accepted, 'for good')
      },
    )
  }

  story('a lower limit refuses until the day ends, and takes nothing back', async (t, desk) => {
    t.ok((await desk.judge({ stage: 'END-OF-MESSAGE', instance: 'a', recipients: 4 })).accepted)
    desk.limit = 3
    const next = await desk.judge({ stage: 'END-OF-MESSAGE', instance: 'b' })
    t.match(next, { accepted: false, used: 4 })
    desk.nextDay()
    t.ok((await desk.judge({ stage: 'END-OF-MESSAGE', instance: 'c', recipients: 3 })).accepted)
  })

  story('counters of different names do not mix', async (t, desk) => {
    const other = desk.claim({ counter: 'other' })
    await desk.judge({ stage: 'END-OF-MESSAGE', instance: 'a', recipients: 4, claims: [other] })
    t.equal(await desk.used(), 0)
    t.ok((await desk.judge({ stage: 'END-OF-MESSAGE', instance: 'a', recipients: 5 })).accepted)
    t.equal(await desk.used('alice', 'other'), 4)
  })

  story('another account with a known instance is judged for itself', async (t, desk) => {
    await desk.judge({ stage: 'END-OF-MESSAGE', instance: 'a' })
    t.match(
      await desk.judge({
        stage: 'END-OF-MESSAGE',
        instance: 'a',
        account: 'mallory',
        recipients: 9,
      }),
      { accepted: false, repeated: false },
    )
  })
}

function reservationStories(story: Story): void {
  story(
    'a service that sends requests at RCPT only is named, until it sends one at the end',
    async (t, desk) => {
      await desk.judge({ stage: 'RCPT', instance: 'a', recipient: 'x@example.org' })
      t.same(await desk.ledger.recipientOnlyServices(), ['192.0.2.1:587'])
      if (await desk.restart()) {
        t.same(await desk.ledger.recipientOnlyServices(), ['192.0.2.1:587'], 'after a restart, too')
      }
      await desk.judge({ stage: 'END-OF-MESSAGE', instance: 'b' })
      t.same(await desk.ledger.recipientOnlyServices(), [])
    },
  )

  story(
    'a message past midnight without a request at its end counts on its last day',
    async (t, desk) => {
      await desk.judge({ stage: 'RCPT', instance: 'a', recipient: 'x@example.org' })
      desk.nextDay()
      await desk.judge({ stage: 'RCPT', instance: 'a', recipient: 'y@example.org' })
      await desk.ledger.disconnect(1)
      t.equal(await desk.used(), 2)
    },
  )

  story(
    'a message that is never completed costs nothing where its end is requested',
    async (t, desk) => {
      await desk.judge({ stage: 'END-OF-MESSAGE', instance: 'first' })
      for (const [recipient, used] of [
        ['x', 2],
        ['y', 3],
      ] as const) {
        t.equal((await desk.judge({ stage: 'RCPT', instance: 'a', recipient })).used, used)
      }
      await desk.ledger.disconnect(1)
      await desk.judge({ stage: 'RCPT', instance: 'b', recipient: 'x' })
      await desk.ledger.expire(NOON + 2 * 3_600_000)
      const next = { stage: 'RCPT', instance: 'c', recipient: 'x', connection: 2 } as const
      t.equal((await desk.judge(next)).used, 2)
      t.equal(await desk.used(), 1)
    },
  )

  story(
    'a service that stops sending requests at the end is noticed, and counts at RCPT',
    async (t, desk) => {
      desk.limit = 1000
      await desk.judge({ stage: 'END-OF-MESSAGE', instance: 'first' })
      const before = await desk.used()
      for (let message = 0; message <= MISSED_ENDS; message++) {
        const event = desk.event({ stage: 'RCPT', instance: `m${message}`, recipient: 'x' })
        const foreseen = await desk.ledger.preview(event)
        t.match(await desk.ledger.judge(event), foreseen)
      }
      t.same(await desk.ledger.recipientOnlyServices(), ['192.0.2.1:587'])
      const after = await desk.used()
      await desk.judge({ stage: 'RCPT', instance: 'n', recipient: 'x@example.org' })
      t.ok(after > before, 'the message that showed it is counted')
      t.equal(await desk.used(), after + 1, 'and every one from then on')
    },
  )

  story(
    'what was reserved with one instance for several accounts is given back',
    async (t, desk) => {
      desk.limit = 1
      // A service that sends requests at the end: there an aborted message costs nothing.
      const first = { instance: 'first', account: 'carol', connection: 3 }
      await desk.judge({ stage: 'END-OF-MESSAGE', ...first })
      for (const account of ['alice', 'mallory']) {
        const recipient = `friend-of-${account}@example.net`
        t.ok((await desk.judge({ stage: 'RCPT', instance: 'a', account, recipient })).accepted)
      }
      await desk.ledger.disconnect(1)
      for (const account of ['alice', 'mallory']) {
        const next = { instance: `of ${account}`, account, recipient: 'y', connection: 2 }
        t.ok((await desk.judge({ stage: 'RCPT', ...next })).accepted, `${account} may send again`)
      }
    },
  )
}

function otherAnswerStories(story: Story): void {
  story('what is refused in the end is not counted', async (t, desk) => {
    desk.limit = 4
    const ask = (stage: LedgerEvent['stage'], instance: string, recipients = 1) =>
      desk.judge({ stage, instance, recipients, connection: 7 })
    const undone = async (...asked: Parameters<typeof ask>) => {
      const { takeBack, ...judgement } = await ask(...asked)
      await takeBack()
      return judgement
    }
    await ask('DATA', 'b', 2)
    for (const stage of ['RCPT', 'DATA', 'END-OF-MESSAGE'] as const) {
      for (let again = 0; again < 3; again++) {
        t.match(await undone(stage, 'a'), { accepted: true, used: 3 }, `${stage}, repeated`)
      }
    }
    t.match(await undone('END-OF-MESSAGE', 'b', 3), { accepted: true, used: 3 }, 'more after DATA')
    t.equal(await desk.used(), 0, 'the mail as a whole was not accepted')
    t.match(await ask('END-OF-MESSAGE', 'b', 3), { accepted: true, used: 3 })
    t.match(await undone('END-OF-MESSAGE', 'd', 2), { accepted: false, used: 3 }, 'a refusal, too')
    t.match(await ask('END-OF-MESSAGE', 'd', 1), { accepted: true, used: 4 })
    t.match(await undone('END-OF-MESSAGE', 'd', 1), { accepted: true, repeated: true }, 'repeated')
    t.equal(await desk.used(), 3)
    desk.nextDay()
    t.match(await ask('END-OF-MESSAGE', 'd', 2), { accepted: true, used: 2 }, 'on its new day')
    t.equal(await desk.used(), 2)
  })

  story('without enforcement everything is accepted and counted', async (t, desk) => {
    desk.limit = 2
    const message = { stage: 'END-OF-MESSAGE', instance: 'a', recipients: 3 } as const
    t.match(await desk.judge(message), { accepted: false, used: 0 })
    t.match(
      await desk.observe(message),
      { accepted: true, used: 3, repeated: false },
      'what was refused before is counted now',
    )
    t.match(await desk.observe(message), { repeated: true, used: 3 })
    t.match(await desk.judge(message), { accepted: true, repeated: true }, 'it was let through')
    const rcpt = { stage: 'RCPT', instance: 'b', recipient: 'x' } as const
    t.match(await desk.observe(rcpt), { accepted: true, used: 4 })
    const grown = { stage: 'DATA', instance: 'b' } as const
    t.match(await desk.observe({ ...grown, recipients: 2 }), { accepted: true, used: 5 })
    t.match(await desk.observe({ ...grown, recipients: 6 }), { accepted: true, used: 9 })
    t.match(await desk.judge({ stage: 'END-OF-MESSAGE', instance: 'c' }), {
      accepted: false,
      used: 9,
    })
  })

  story('a preview answers as a judgement would, and changes nothing', async (t, desk) => {
    desk.limit = 3
    const observed = [desk.claim({ enforce: false })]
    const several = [desk.claim(), desk.hourly({ limit: 4 }), desk.claim({ counter: 'other' })]
    const events = [
      { stage: 'RCPT', instance: 'a', recipient: 'x', connection: 1 },
      { stage: 'RCPT', instance: 'a', recipient: 'x', connection: 1 },
      { stage: 'RCPT', instance: 'b', recipient: 'y', connection: 2 },
      { stage: 'DATA', instance: 'a', recipients: 2, connection: 1 },
      { stage: 'DATA', instance: 'a', recipients: 9, connection: 1 },
      { stage: 'END-OF-MESSAGE', instance: 'a', recipients: 9, connection: 1, claims: observed },
      { stage: 'RCPT', instance: 'c', recipient: 'z', connection: 2 },
      { stage: 'END-OF-MESSAGE', instance: 'd', connection: 3 },
      { stage: 'RCPT', instance: 'e', recipient: 'z', connection: 2, claims: several },
      { stage: 'RCPT', instance: 'e', recipient: 'z', connection: 2, mostRecipients: 1 },
      { stage: 'RCPT', instance: 'e', recipient: 'y', connection: 2, mostRecipients: 1 },
      { stage: 'DATA', instance: 'f', connection: 2, claims: several.slice(1) },
      { stage: 'END-OF-MESSAGE', instance: 'f', recipients: 9, connection: 2, claims: several },
    ] as const
    for (const event of events.map(one => desk.event(one))) {
      const foreseen = await desk.ledger.preview(event)
      t.notOk('takeBack' in foreseen)
      t.same(await desk.ledger.preview(event), foreseen, 'the same again')
      const { takeBack, ...judged } = await desk.ledger.judge(event)
      t.type(takeBack, 'function')
      t.same(judged, foreseen, `${event.stage} of ${event.instance}`)
    }
    const bad = desk.event({ stage: 'END-OF-MESSAGE', instance: 'e', recipients: Number.NaN })
    await t.rejects(async () => await desk.ledger.preview(bad), { name: 'RangeError' })
  })
}

function manyLimitStories(story: Story): void {
  const end = (instance: string, recipients = 1) =>
    ({ stage: 'END-OF-MESSAGE', instance, recipients }) as const

  story('a message is counted by all its limits, or by none of them', async (t, desk) => {
    const claims = [
      desk.claim({ limit: 100 }),
      desk.hourly({ limit: 5 }),
      desk.claim({ counter: 'domain', subject: 'example.org', limit: 6 }),
    ]
    const usedByAll = () => Promise.all(claims.map(claim => desk.usedFor(claim)))
    t.match(await desk.judge({ ...end('a', 4), claims }), {
      accepted: true,
      standings: claims.map(() => ({ accepted: true, used: 4 })),
    })
    const refused = await desk.judge({ ...end('b', 3), claims })
    t.match(refused, {
      accepted: false,
      isOverCap: false,
      standings: [
        { accepted: true, used: 4 },
        { accepted: false, used: 4 },
        { accepted: true, used: 4 },
      ],
    })
    t.same(await usedByAll(), [4, 4, 4], 'the first that refuses is named; nobody counts')
    const again = await desk.judge({ ...end('b', 3), claims })
    t.match(again, { accepted: false, repeated: true, standings: refused.standings })
    const { takeBack } = await desk.judge({ ...end('c'), claims })
    t.same(await usedByAll(), [5, 5, 5])
    await takeBack()
    t.same(await usedByAll(), [4, 4, 4])
    await takeBack()
    t.same(await usedByAll(), [4, 4, 4], 'once')
  })

  story(
    'a message that has grown too large for one limit is given back to all',
    async (t, desk) => {
      const claims = [desk.claim({ limit: 100 }), desk.hourly({ limit: 5 })]
      const data = { stage: 'DATA', instance: 'a' } as const
      await desk.judge({ ...data, recipients: 4, claims })
      const grown = await desk.judge({ ...end('a', 9), claims })
      t.match(grown, {
        accepted: false,
        standings: [
          { accepted: true, used: 0 },
          { accepted: false, used: 0 },
        ],
      })
      t.notOk((await desk.judge({ ...end('a', 1), claims })).accepted, 'for good')
      t.same([await desk.used(), await desk.usedFor(desk.hourly())], [0, 0])
    },
  )

  story(
    'a message that another virtual host has accepted is counted by this one, too',
    async (t, desk) => {
      const mine = [desk.claim()]
      const other = [desk.claim({ counter: 'other', limit: 2 })]
      t.match(await desk.judge({ ...end('a', 2), claims: mine }), { accepted: true, used: 2 })
      t.match(await desk.judge({ ...end('a', 2), claims: other }), {
        accepted: true,
        used: 2,
        repeated: false,
      })
      t.match(await desk.judge({ ...end('a', 2), claims: mine }), { repeated: true, used: 2 })
      t.match(await desk.judge({ ...end('a', 2), claims: other }), { repeated: true, used: 2 })
      await desk.judge({ ...end('b'), claims: mine })
      t.match(await desk.judge({ ...end('b'), claims: other }), { accepted: false, used: 2 })
      t.equal(await desk.used(), 2, 'the mail as a whole is refused')
      t.match(await desk.judge({ ...end('b'), claims: other }), { accepted: false, repeated: true })
      t.match(
        await desk.judge({ ...end('b'), claims: mine }),
        { accepted: true, repeated: false, used: 3 },
        'not by a limit of this one',
      )
    },
  )

  story('recipients are reserved for all limits, or for none', async (t, desk) => {
    const claims = [
      desk.claim({ limit: 100 }),
      desk.hourly({ limit: 2 }),
      desk.claim({ counter: 'mails', unit: 'messages', limit: 1 }),
      desk.claim({ counter: 'volume', unit: 'bytes', limit: 1000 }),
    ]
    await desk.judge({ stage: 'END-OF-MESSAGE', instance: 'first', account: 'bob' })
    const rcpt = (recipient: string, instance = 'a', connection = 1) =>
      desk.judge({ stage: 'RCPT', instance, recipient, connection, claims })
    const used = (standings: Judgement['standings']) => standings.map(one => one.used)
    t.same(used((await rcpt('x')).standings), [1, 1, 1, 0])
    t.same(used((await rcpt('y')).standings), [2, 2, 1, 0], 'one message')
    const third = await rcpt('z')
    t.same(used(third.standings), [2, 2, 1, 0])
    t.same(
      third.standings.map(({ accepted }) => accepted),
      [true, false, true, true],
    )
    t.match(await rcpt('x'), { accepted: true, repeated: true })
    t.match(await rcpt('x', 'b', 2), { accepted: false }, 'another message')
    await desk.ledger.disconnect(1)
    const alone = await rcpt('x', 'b', 2)
    t.same(used(alone.standings), [1, 1, 1, 0])
    await alone.takeBack()
    t.same(used((await rcpt('x', 'c', 3)).standings), [1, 1, 1, 0])
  })

  story('a recipient is reserved for another virtual host, too', async (t, desk) => {
    const other = [desk.claim({ counter: 'other' })]
    const rcpt = (recipient: string, claims?: readonly Claim[]) =>
      desk.judge({ stage: 'RCPT', instance: 'a', recipient, ...(claims ? { claims } : {}) })
    t.match(await rcpt('x'), { used: 1, repeated: false })
    t.match(await rcpt('x', other), { used: 1, repeated: false })
    t.match(await rcpt('x'), { used: 1, repeated: true })
    t.match(await rcpt('x', other), { used: 1, repeated: true })
    await rcpt('y')
    const { takeBack } = await rcpt('y', other)
    await takeBack()
    await desk.ledger.disconnect(1)
    t.same([await desk.used(), await desk.used('alice', 'other')], [2, 1], 'each its own')
  })

  story('a message has no more recipients than it may have', async (t, desk) => {
    const rcpt = (recipient: string, mostRecipients: number, instance = 'a') =>
      desk.judge({ stage: 'RCPT', instance, recipient, mostRecipients })
    t.match(await rcpt('x', 2), { accepted: true, isOverCap: false })
    t.match(await rcpt('y', 2), { accepted: true, isOverCap: false })
    t.match(await rcpt('z', 2), {
      accepted: false,
      isOverCap: true,
      standings: [{ accepted: true, used: 2 }],
    })
    t.match(await rcpt('y', 2), { accepted: true, repeated: true, isOverCap: false })
    t.match(await rcpt('z', 3), { accepted: true, isOverCap: false }, 'the cap is higher now')
    t.match(await rcpt('x', 0, 'b'), { accepted: false, isOverCap: true })
    t.match(await rcpt('x', 1, 'b'), { accepted: true }, 'another message')
  })

  story('units count what they are named after', async (t, desk) => {
    const claims = [
      desk.claim({ limit: 100 }),
      desk.claim({ counter: 'mails', unit: 'messages', limit: 2 }),
      desk.claim({ counter: 'volume', unit: 'bytes', limit: 5000 }),
    ]
    const used = async (asked: Asked) =>
      (await desk.judge({ ...asked, claims })).standings.map(one => one.used)
    t.same(await used({ stage: 'DATA', instance: 'a', recipients: 3 }), [3, 1, 0])
    t.same(await used({ ...end('a', 2), bytes: 4000 }), [2, 1, 4000], 'the size is known now')
    const large = await desk.judge({ ...end('b'), bytes: 1001, claims })
    t.same(
      large.standings.map(({ accepted }) => accepted),
      [true, true, false],
    )
    t.same(await used({ ...end('c'), bytes: 1000 }), [3, 2, 5000])
    t.notOk((await desk.judge({ ...end('d'), bytes: 0, claims })).accepted, 'a third message')
    for (const bytes of [Number.NaN, Number.POSITIVE_INFINITY, 1.5]) {
      await t.rejects(desk.judge({ ...end('e'), bytes, claims }), {
        name: 'RangeError',
        message: /not a number of bytes/,
      })
    }
    t.equal(await desk.usedFor(desk.claim()), 3)
  })

  story('one limit is observed while another one refuses', async (t, desk) => {
    const claims = [desk.claim({ limit: 1, enforce: false }), desk.hourly({ limit: 3 })]
    t.match(await desk.judge({ ...end('a', 3), claims }), {
      accepted: true,
      standings: [{ used: 3 }, { used: 3 }],
    })
    t.match(await desk.judge({ ...end('b'), claims }), {
      accepted: false,
      standings: [
        { accepted: true, used: 3 },
        { accepted: false, used: 3 },
      ],
    })
  })

  story(
    'where mail is judged at RCPT only, all limits count an unfinished message',
    async (t, desk) => {
      const claims = [
        desk.claim(),
        desk.claim({ counter: 'mails', unit: 'messages' }),
        desk.claim({ counter: 'volume', unit: 'bytes' }),
        desk.hourly(),
      ]
      for (const recipient of ['x', 'y']) {
        await desk.judge({ stage: 'RCPT', instance: 'a', recipient, claims })
      }
      const next = desk.event({ stage: 'RCPT', instance: 'b', recipient: 'x', claims })
      const foreseen = await desk.ledger.preview(next)
      const { takeBack, ...judged } = await desk.ledger.judge(next)
      t.same(judged, foreseen)
      t.same(
        judged.standings.map(({ used }) => used),
        [3, 2, 0, 3],
      )
      await takeBack()
      const used = await Promise.all(claims.map(claim => desk.usedFor(claim)))
      t.same(used, [2, 1, 0, 2])
    },
  )
}

function windowStories(story: Story): void {
  story(
    'a rolling window lets its limit through in any interval of its length',
    async (t, desk) => {
      const claims = [desk.hourly({ limit: 3 })]
      let sent = 0
      const send = () => desk.judge({ stage: 'END-OF-MESSAGE', instance: `m${sent++}`, claims })
      for (let message = 0; message < 3; message++) {
        t.ok((await send()).accepted)
        desk.now += 10 * MINUTE
      }
      // Now it is half past twelve; the first was sent at noon.
      t.match(await send(), { accepted: false, used: 3 })
      desk.now = NOON + HOUR
      t.match(await send(), { accepted: false, used: 3 }, 'at most a sixtieth too long')
      desk.now += MINUTE
      t.match(await send(), { accepted: true, used: 3 })
      t.match(await send(), { accepted: false, used: 3 })
      desk.now += 2 * HOUR
      t.equal(await desk.usedFor(desk.hourly()), 0)
      if (await desk.restart()) {
        desk.now = NOON + HOUR + MINUTE
        t.equal(await desk.usedFor(desk.hourly()), 3, 'after a restart, too')
      }
    },
  )

  story('it is known when a message that is refused will fit', async (t, desk) => {
    const claim = desk.hourly({ limit: 4 })
    const end = { stage: 'END-OF-MESSAGE', claims: [claim] } as const
    await desk.judge({ ...end, instance: 'a', recipients: 3 })
    desk.now += 10 * MINUTE
    await desk.judge({ ...end, instance: 'b' })
    for (const [recipients, expected] of [
      [1, NOON + HOUR + MINUTE],
      [3, NOON + HOUR + MINUTE],
      [4, NOON + HOUR + 11 * MINUTE],
      [5, undefined],
    ] as const) {
      const message = { ...end, instance: `of ${recipients}`, recipients }
      const { accepted } = await desk.judge(message)
      t.notOk(accepted)
      const fitsAt = await desk.ledger.fitsAt(desk.event(message), claim)
      t.equal(fitsAt, expected, `${recipients} recipients`)
    }
    const rcpt = desk.event({ stage: 'RCPT', instance: 'c', recipient: 'x', claims: [claim] })
    t.equal(await desk.ledger.fitsAt(rcpt, claim), NOON + HOUR + MINUTE, 'a recipient')
    const larger = desk.hourly({ limit: 5 })
    t.equal(await desk.ledger.fitsAt(rcpt, larger), desk.now, 'at once')
    const today = desk.claim()
    const endsAt = 'endsAt' in today.window ? today.window.endsAt : 0
    t.equal(await desk.ledger.fitsAt(rcpt, today), endsAt, 'a calendar window ends')
    const small = { ...today, limit: 0 }
    t.equal(await desk.ledger.fitsAt(rcpt, small), undefined, 'never within nothing')
  })

  story(
    'what is changed later is changed where it was counted, in every window',
    async (t, desk) => {
      const claims = () => [desk.claim(), desk.hourly({ limit: 9 })]
      await desk.judge({ stage: 'DATA', instance: 'a', recipients: 2, claims: claims() })
      desk.now += 12 * HOUR - MINUTE
      await desk.judge({ stage: 'DATA', instance: 'b', recipients: 2, claims: claims() })
      const yesterday = desk.claim()
      desk.now += 10 * MINUTE
      const { takeBack } = await desk.judge({
        stage: 'END-OF-MESSAGE',
        instance: 'b',
        recipients: 3,
        claims: claims(),
      })
      t.equal(await desk.usedFor(yesterday), 5)
      t.equal(await desk.used(), 0, 'nothing today')
      t.equal(await desk.usedFor(desk.hourly()), 3)
      const had = desk.now
      desk.now += 52 * MINUTE
      t.equal(await desk.usedFor(desk.hourly()), 0, 'an hour after DATA')
      desk.now = had
      await takeBack()
      t.equal(await desk.usedFor(yesterday), 2)
      t.equal(await desk.usedFor(desk.hourly()), 0)
    },
  )

  story('one counter keeps apart its windows', async (t, desk) => {
    const message = { stage: 'END-OF-MESSAGE', instance: 'a', recipients: 2 } as const
    await desk.judge({ ...message, claims: [desk.hourly({ counter: 'default' })] })
    t.equal(await desk.used(), 0)
    t.equal(await desk.usedFor(desk.hourly({ counter: 'default' })), 2)
  })
}

function resetStories(story: Story): void {
  const end = { stage: 'END-OF-MESSAGE', instance: 'a', recipients: 3 } as const
  const queueId = '4ZxGkq0Lz1z9rxJ'
  const both = (desk: Desk): Claim[] => [desk.claim(), desk.hourly()]
  const reset = async (desk: Desk, { counter, subject, window }: Claim): Promise<number> =>
    await desk.ledger.reset(counter, subject, window, desk.now)

  story(
    'a count that was reset begins again, for this account and window alone, also after a restart',
    async (t, desk) => {
      const [day, hour] = [desk.claim(), desk.hourly()]
      const bobs = desk.claim({ subject: 'bob' })
      await desk.judge({ ...end, claims: both(desk) })
      await desk.judge({ ...end, account: 'bob', claims: [bobs] })
      t.equal(await reset(desk, day), 3)
      const counts = async () => [
        await desk.usedFor(day),
        await desk.usedFor(hour),
        await desk.usedFor(bobs),
      ]
      t.same(await counts(), [0, 3, 3])
      await desk.restart()
      if (await desk.restart()) t.same(await counts(), [0, 3, 3])
      t.match(await desk.judge({ ...end, instance: 'b', recipients: 5 }), { used: 5 }, 'all of it')
      t.equal(await reset(desk, hour), 3)
      t.equal(await desk.usedFor(hour), 0)
      t.equal(await reset(desk, hour), 0)
    },
  )

  story('every part of a rolling window begins again', async (t, desk) => {
    desk.limit = 100
    for (let minute = 0; minute < 60; minute++) {
      await desk.judge({ ...end, instance: `m${minute}`, recipients: 1, claims: [desk.hourly()] })
      desk.now += MINUTE
    }
    t.equal(await reset(desk, desk.hourly()), 60)
    t.equal(await desk.usedFor(desk.hourly()), 0)
    desk.now -= HOUR
    t.equal(await desk.usedFor(desk.hourly()), 0, 'also where the clock is set back')
  })

  story('mail from before a reset gives nothing back of the mail after it', async (t, desk) => {
    await desk.judge({ ...end, recipients: 2, queueId, claims: both(desk) })
    await reset(desk, desk.claim())
    await desk.judge({ ...end, instance: 'b', recipients: 3, claims: both(desk) })
    t.same(await desk.ledger.giveBack({ queueId }, desk.now), {
      account: 'alice',
      amounts: [{ counter: 'hourly', subject: 'alice', amount: 2 }],
    })
    t.equal(await desk.used(), 3)
    t.equal(await desk.usedFor(desk.hourly()), 3)
    if (await desk.restart()) t.equal(await desk.used(), 3)
  })

  story('nor does it after a restart', async (t, desk) => {
    await desk.judge({ ...end, queueId })
    await reset(desk, desk.claim())
    await desk.restart()
    await desk.judge({ ...end, instance: 'b', recipients: 1 })
    await desk.ledger.giveBack({ queueId }, desk.now)
    await desk.ledger.takeBack({ ...end, account: 'alice', service: '192.0.2.1:587' }, desk.now)
    t.equal(await desk.used(), 1)
  })

  story('a message that is open at a reset counts once, at its end', async (t, desk) => {
    const recipient = { stage: 'RCPT', instance: 'a', recipient: 'x' } as const
    t.match(await desk.judge(recipient), { used: 1 })
    t.equal(await reset(desk, desk.claim()), 0, 'it was not counted yet')
    t.match(await desk.judge({ ...recipient, recipient: 'y' }), { used: 2 }, 'still reserved')
    await desk.judge({ ...end, stage: 'DATA', recipients: 2 })
    t.equal(await reset(desk, desk.claim()), 2)
    t.match(await desk.judge({ ...end, recipients: 2 }), { accepted: true, used: 2 })
    t.match(await desk.judge({ ...end, recipients: 2 }), { repeated: true, used: 2 })
  })
}

function giveBackStories(story: Story): void {
  const message = {
    stage: 'END-OF-MESSAGE',
    instance: 'a',
    recipients: 2,
    queueId: '4ZxGkq0Lz1z9rxJ',
  } as const

  story('what Postfix refuses after all is given back, once', async (t, desk) => {
    const claims = [desk.claim(), desk.hourly(), desk.claim({ counter: 'volume', unit: 'bytes' })]
    const giveBack = (queueId: string = message.queueId, at = desk.now) =>
      desk.ledger.giveBack({ queueId }, at)
    t.equal(await giveBack(), undefined, 'not judged yet')
    await desk.judge({ ...message, claims })
    t.equal(await giveBack('4ZxGkq0Lz1z9rxK'), undefined)
    t.equal(await giveBack(''), undefined)
    t.equal(await giveBack(message.queueId, desk.now + HOUR + 1), undefined)
    t.equal(await giveBack(message.queueId, desk.now - HOUR - 1), undefined)
    t.equal(await desk.used(), 2)
    t.same(await giveBack(message.queueId, desk.now + HOUR), {
      account: 'alice',
      amounts: [
        { counter: 'default', subject: 'alice', amount: 2 },
        { counter: 'hourly', subject: 'alice', amount: 2 },
      ],
    })
    t.same([await desk.used(), await desk.usedFor(desk.hourly())], [0, 0])
    t.equal(await giveBack(), undefined, 'once')
    t.equal(await desk.used(), 0)
  })

  story(
    'what is refused by a later request is taken back, also after a restart',
    async (t, desk) => {
      const [day, hour] = [desk.claim(), desk.hourly()]
      const named = { instance: 'a', account: 'alice', service: '192.0.2.25:587' }
      await desk.ledger.takeBack(named, desk.now)
      await desk.judge({ ...message, stage: 'DATA', claims: [day, hour] })
      await desk.restart()
      await desk.ledger.takeBack({ ...named, account: 'bob' }, desk.now)
      t.same([await desk.used(), await desk.usedFor(hour)], [2, 2])
      await desk.ledger.takeBack(named, desk.now)
      await desk.ledger.takeBack(named, desk.now)
      t.same([await desk.used(), await desk.usedFor(hour)], [0, 0])
      await desk.restart()
      t.same([await desk.used(), await desk.usedFor(hour)], [0, 0])
      const again = await desk.judge({ ...message, claims: [day, hour] })
      t.match(again, { accepted: true, repeated: false })
      t.same([await desk.used(), await desk.usedFor(hour)], [2, 2])
    },
  )

  story(
    'refused at its end, a message has nothing reserved, nor counted later',
    async (t, desk) => {
      const service = '192.0.2.1:587'
      for (let nth = 0; nth < 120; nth++) {
        const instance = `refused${nth}`
        for (const recipient of ['x', 'y', 'z'].slice(nth % 3)) {
          const reserved = await desk.judge({ stage: 'RCPT', instance, recipient, service })
          t.equal(reserved.accepted, true)
        }
        await desk.ledger.takeBack({ account: 'alice', instance, service }, desk.now)
      }
      await desk.ledger.disconnect(1)
      t.equal(await desk.used(), 0)
      t.same(await desk.ledger.recipientOnlyServices(), [])
      t.match(await desk.judge(message), { accepted: true, used: 2 })
    },
  )

  story(
    'a size that was not known at DATA counts after another host has judged the end',
    async (t, desk) => {
      const volume = desk.hourly({ counter: 'volume', unit: 'bytes', limit: 1000 })
      await desk.judge({ ...message, stage: 'DATA', claims: [volume] })
      await desk.judge({ ...message, bytes: 900, claims: [desk.claim()] })
      const end = { ...message, bytes: 900, claims: [volume] }
      t.match(await desk.judge(end), { accepted: true, repeated: false })
      t.match(await desk.judge(end), { accepted: true, repeated: true })
      t.same([await desk.used(), await desk.usedFor(volume)], [2, 900])
      const next = { ...message, instance: 'b', bytes: 200 }
      await desk.judge({ ...next, stage: 'DATA', bytes: 0, claims: [volume] })
      await desk.judge({ ...next, claims: [desk.claim()] })
      t.match(await desk.judge({ ...next, claims: [volume] }), { accepted: false })
      t.same([await desk.used(), await desk.usedFor(volume)], [2, 900])
    },
  )

  story('what was settled can be given back after a restart', async (t, desk) => {
    await desk.judge(message)
    if (!(await desk.restart())) return
    const given = await desk.ledger.giveBack(message, desk.now)
    t.match(given, { account: 'alice', amounts: [{ amount: 2 }] })
    t.equal(await desk.used(), 0)
    await desk.restart()
    t.equal(await desk.used(), 0)
    t.equal(await desk.ledger.giveBack(message, desk.now), undefined)
  })

  story('the message that had a queue id last is the one that is meant', async (t, desk) => {
    await desk.judge(message)
    await desk.judge({ ...message, instance: 'b', recipients: 1 })
    const given = await desk.ledger.giveBack(message, desk.now)
    t.match(given, { amounts: [{ amount: 1 }] })
    t.equal(await desk.used(), 2)
  })

  story('a refused message has nothing to give back', async (t, desk) => {
    await desk.judge({ ...message, recipients: 9 })
    t.equal(await desk.ledger.giveBack(message, desk.now), undefined)
    const taken = { ...message, instance: 'b' }
    const { takeBack } = await desk.judge(taken)
    await takeBack()
    t.equal(await desk.ledger.giveBack(message, desk.now), undefined)
    t.equal(await desk.used(), 0)
    t.match(await desk.judge(taken), { accepted: true, used: 2, repeated: false })
  })

  story('a queue id that was told once stays that of the message', async (t, desk) => {
    await desk.judge({ ...message, instance: 'before' })
    const other = [desk.claim({ counter: 'other' })]
    await desk.judge({ ...message, stage: 'DATA', recipients: 9 })
    await desk.judge({ ...message, stage: 'DATA', queueId: '', claims: other })
    t.match(await desk.ledger.giveBack(message, desk.now), { amounts: [{ counter: 'other' }] })
    t.equal(await desk.used(), 2, 'of the message that had it before')
  })

  story('behind a proxy, smtpd and the account say which message is meant', async (t, desk) => {
    const proxied = { ...message, queueId: '', instance: '59f7.6564b0a1.1.0' }
    await desk.judge(proxied)
    const logged = { process: 0x59f7, account: 'alice' }
    t.equal(await desk.ledger.giveBack({ ...logged, account: 'bob' }, desk.now), undefined)
    t.equal(await desk.ledger.giveBack({ ...logged, process: 59 }, desk.now), undefined)
    t.equal(await desk.ledger.giveBack(logged, desk.now + HOUR), undefined, 'another message')
    await desk.judge({ ...proxied, instance: '59f7.6564b0a1.2.0', recipients: 1 })
    t.match(await desk.ledger.giveBack(logged, desk.now), { amounts: [{ amount: 1 }] })
    t.equal(await desk.used(), 2)
    t.equal(await desk.ledger.giveBack(logged, desk.now), undefined, 'once')
  })

  story('a queue id that was known at DATA is known at the end', async (t, desk) => {
    await desk.judge({ ...message, stage: 'DATA' })
    await desk.judge({ ...message, recipients: 3, queueId: '' })
    t.match(await desk.ledger.giveBack(message, desk.now), {
      amounts: [{ amount: 3 }],
    })
  })
}
