/** Which sums go into the file after counting went on elsewhere: a table. */

import t from 'tap'
import type { Sum } from '../../daemon/ledger/account-pages.ts'
import { type Interim, keysOf, sumsToWrite } from '../../daemon/ledger/merge.ts'
import { type CountingPeriod, Periods } from '../../daemon/ledger/period.ts'

const [TODAY, YESTERDAY, LONG_AGO] = ['2026-11-20', '2026-11-19', '2026-10-01']
const periods = new Periods()
const of = (account: string, used: number, day = TODAY): Sum => [
  periods.named('limit', day),
  account,
  0,
  used,
]
/** In an hour that rolls. */
const rolling = (account: string, bucket: number, used: number): Sum => [
  periods.named('limit', '~60000'),
  account,
  bucket,
  used,
]

/** Alice has 2 and Bob 5 today, and alice 2 in the hour, all of it in one bucket. */
const file = (seed: number) => ({
  seed,
  usedIn({ name }: CountingPeriod, account: string, bucket: number) {
    if (name === '~60000') return account === 'alice' && bucket === 100 ? 2 : 0
    return name === TODAY ? ({ alice: 2, bob: 5 }[account] ?? 0) : 0
  },
})

const memory = (sums: Sum[], whole: Sum[] = []): Interim => ({
  kind: 'memory',
  store: { sumsInMemory: () => sums },
  whole: keysOf(whole),
})

/** A copy of the file with seed 1; in memory is what has changed in this run. */
const copy = (more: Partial<Extract<Interim, { kind: 'copy' }>> = {}): Interim => ({
  kind: 'copy',
  isInherited: false,
  health: 'sound',
  store: {
    seed: 1,
    sumsInMemory: () => [of('alice', 3)],
    sums(days = Number.POSITIVE_INFINITY) {
      const all = [of('alice', 3), of('bob', 5), of('bob', 1, YESTERDAY), of('bob', 9, LONG_AGO)]
      const newest = [TODAY, YESTERDAY, LONG_AGO].slice(0, days)
      return all.filter(([{ name }]) => newest.includes(name))
    },
  },
  ...more,
})

const TABLE: Record<string, { from: Interim; seed?: number; written: Sum[] }> = {
  'memory comes on top of the file': {
    from: memory([of('alice', 1), of('carol', 4)]),
    written: [of('alice', 3), of('carol', 4)],
  },
  'another day is another sum': {
    from: memory([of('alice', 1, YESTERDAY)]),
    written: [of('alice', 1, YESTERDAY)],
  },
  'memory comes on top of each bucket of a window': {
    from: memory([rolling('alice', 100, 1), rolling('alice', 101, 4), rolling('bob', 100, 1)]),
    written: [rolling('alice', 100, 3), rolling('alice', 101, 4), rolling('bob', 100, 1)],
  },
  'a bucket that is whole takes the place of the file’s, and no other': {
    from: memory([rolling('alice', 100, 7), rolling('alice', 101, 1)], [rolling('alice', 100, 6)]),
    written: [rolling('alice', 100, 7), rolling('alice', 101, 1)],
  },
  'a sum that is whole takes the place of the file’s': {
    from: memory([of('alice', 7), of('bob', 1)], [of('alice', 6)]),
    written: [of('alice', 7), of('bob', 6)],
  },
  'whole on one day is not whole on another': {
    from: memory([of('alice', 1)], [of('alice', 1, YESTERDAY)]),
    written: [of('alice', 3)],
  },
  'a copy’s sum has the file’s in it': { from: copy(), written: [of('alice', 3)] },
  'a copy of an earlier run: all of today and yesterday': {
    from: copy({ isInherited: true }),
    written: [of('alice', 3), of('bob', 5), of('bob', 1, YESTERDAY)],
  },
  'a copy of another file: all of it, on top': {
    from: copy(),
    seed: 2,
    written: [of('alice', 5), of('bob', 10), of('bob', 1, YESTERDAY), of('bob', 9, LONG_AGO)],
  },
  'a damaged copy is not read': {
    from: copy({ isInherited: true, health: 'damaged' }),
    written: [of('alice', 3)],
  },
}

for (const [title, { from, seed = 1, written }] of Object.entries(TABLE)) {
  t.test(title, async t => {
    t.same([...sumsToWrite(from, file(seed))], written)
  })
}
