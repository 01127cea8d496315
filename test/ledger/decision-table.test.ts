/** The state table of daemon/ledger.md, cell by cell. */

import t from 'tap'
import type { Decided } from '../../daemon/ledger/decided.ts'
import {
  amountOf,
  checkAmounts,
  type Decision,
  decide,
  limitOf,
} from '../../daemon/ledger/decision-table.ts'
import { Periods } from '../../daemon/ledger/period.ts'
import type { Claim, Unit } from '../../daemon/policy/ports/ledger.ts'

const periods = new Periods()
const today = { name: '2026-11-20', endsAt: 0 }
const claim = (counter: string, unit: Unit, enforce?: boolean): Claim => ({
  counter,
  subject: 'alice',
  window: today,
  unit,
  limit: 5,
  ...(enforce === undefined ? {} : { enforce }),
})

const known = (
  stage: Decided['stage'],
  accepted: boolean,
  amounts: Readonly<Record<string, number>>,
): Pick<Decided, 'accepted' | 'refusedBy' | 'stage' | 'entries'> => ({
  stage,
  accepted,
  refusedBy: accepted ? '' : 'day',
  entries: Object.entries(amounts).map(([counter, amount]) => ({
    period: periods.of(counter, today),
    bucket: 0,
    subject: 'alice',
    amount,
  })),
})

/** What was decided about a message before, by `day` and `volume`. */
const STATES = {
  nothing: undefined,
  'accepted at DATA with 2': known('DATA', true, { day: 2, volume: 0 }),
  'accepted at the end': known('END-OF-MESSAGE', true, { day: 2, volume: 1000 }),
  'refused at DATA': known('DATA', false, {}),
  'refused at the end': known('END-OF-MESSAGE', false, {}),
  'taken back': known('DATA', true, {}),
}

const EVENTS = {
  RCPT: { stage: 'RCPT', recipients: 1, bytes: 0 },
  'DATA, 2': { stage: 'DATA', recipients: 2, bytes: 0 },
  'DATA, 3': { stage: 'DATA', recipients: 3, bytes: 0 },
  'DATA, 2, of a size': { stage: 'DATA', recipients: 2, bytes: 900 },
  'END, 0': { stage: 'END-OF-MESSAGE', recipients: 0, bytes: 0 },
  'END, 2': { stage: 'END-OF-MESSAGE', recipients: 2, bytes: 1000 },
} as const

/** The claims that a message comes with. */
const DAY = claim('day', 'recipients')
const VOLUME = claim('volume', 'bytes')
const CLAIMS = {
  'the same': [DAY, VOLUME],
  'the same, enforced': [
    { ...DAY, enforce: true },
    { ...VOLUME, enforce: true },
  ],
  observed: [
    { ...DAY, enforce: false },
    { ...VOLUME, enforce: false },
  ],
  'the refusing one observed': [{ ...DAY, enforce: false }, VOLUME],
  'one less': [DAY],
  'the other one only': [VOLUME],
  'one more': [DAY, VOLUME, claim('hour', 'messages')],
  none: [],
} as const

type Row = Record<keyof typeof EVENTS, Decision>
const row = (...cells: Decision[]): Row =>
  Object.fromEntries(Object.keys(EVENTS).map((event, i) => [event, cells[i]])) as Row

const NEW = row('reserve', 'commit', 'commit', 'commit', 'commit', 'commit')
const AGAIN = row('repeat', 'repeat', 'repeat', 'repeat', 'repeat', 'repeat')
const OPEN = row('repeat', 'repeat', 'adjust', 'adjust', 'adjust', 'adjust')
const FULL = row('repeat', 'adjust', 'adjust', 'adjust', 'adjust', 'adjust')

type Table = Record<keyof typeof CLAIMS, Row>
const NEW_TO_ALL: Table = {
  'the same': NEW,
  'the same, enforced': NEW,
  observed: NEW,
  'the refusing one observed': NEW,
  'one less': NEW,
  'the other one only': NEW,
  'one more': NEW,
  none: NEW,
}
const REFUSED: Table = {
  'the same': AGAIN,
  'the same, enforced': AGAIN,
  observed: NEW,
  'the refusing one observed': NEW,
  'one less': AGAIN,
  'the other one only': NEW,
  'one more': AGAIN,
  none: NEW,
}

const TABLE: Record<keyof typeof STATES, Table> = {
  nothing: NEW_TO_ALL,
  'accepted at DATA with 2': {
    'the same': OPEN,
    'the same, enforced': OPEN,
    observed: OPEN,
    'the refusing one observed': OPEN,
    'one less': row('repeat', 'repeat', 'adjust', 'repeat', 'adjust', 'adjust'),
    'the other one only': row('repeat', 'repeat', 'repeat', 'adjust', 'adjust', 'adjust'),
    'one more': FULL,
    none: AGAIN,
  },
  'accepted at the end': {
    'the same': AGAIN,
    'the same, enforced': AGAIN,
    observed: AGAIN,
    'the refusing one observed': AGAIN,
    'one less': AGAIN,
    'the other one only': AGAIN,
    'one more': FULL,
    none: AGAIN,
  },
  'refused at DATA': REFUSED,
  'refused at the end': REFUSED,
  'taken back': {
    'the same': FULL,
    'the same, enforced': FULL,
    observed: FULL,
    'the refusing one observed': FULL,
    'one less': FULL,
    'the other one only': FULL,
    'one more': FULL,
    none: AGAIN,
  },
}

for (const [state, table] of Object.entries(TABLE)) {
  const before = STATES[state as keyof typeof STATES]
  t.test(`a message of which is known: ${state}`, async t => {
    for (const [which, cells] of Object.entries(table)) {
      const claims = CLAIMS[which as keyof typeof CLAIMS]
      for (const [name, event] of Object.entries(EVENTS)) {
        const expected = cells[name as keyof typeof EVENTS]
        t.equal(decide(before, { ...event, claims }), expected, `${name}, claims: ${which}`)
      }
    }
  })
}

t.test('a message has one recipient at least, and its size, once it is known', async t => {
  t.same(
    [0, 1, 7].map(recipients => amountOf({ recipients, bytes: 9 }, 'recipients')),
    [1, 1, 7],
  )
  t.equal(amountOf({ recipients: 7, bytes: 9 }, 'messages'), 1)
  t.equal(amountOf({ recipients: 7, bytes: 9 }, 'bytes'), 9)
  t.equal(amountOf({ recipients: 7, bytes: -1 }, 'bytes'), 0)
})

t.test('what is not a whole number is not counted', async t => {
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, 0.5]) {
    t.throws(() => checkAmounts({ recipients: bad, bytes: 1 }), {
      name: 'RangeError',
      message: /not a number of recipients/,
    })
    t.throws(() => checkAmounts({ recipients: 1, bytes: bad }), {
      name: 'RangeError',
      message: /not a number of bytes/,
    })
  }
  checkAmounts({ recipients: 1, bytes: 0 })
})

t.test('a limit is in effect where it is enforced', async t => {
  t.equal(limitOf({ limit: 3 }), 3)
  t.equal(limitOf({ limit: 3, enforce: true }), 3)
  t.equal(limitOf({ limit: 3, enforce: false }), Number.POSITIVE_INFINITY)
})
