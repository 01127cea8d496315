/**
 * Where the ledger counts, as a table: state × what happens → state, message. The stores are real and in
 * memory; the disk is described by what opening it does. Stories with real files are in slot.test.ts.
 */

import t from 'tap'
import type { LedgerDisk } from '../../daemon/ledger/disk.ts'
import { describe, type Footing } from '../../daemon/ledger/footing.ts'
import { openFooting } from '../../daemon/ledger/opening.ts'
import { bucketAt, type CountingPeriod } from '../../daemon/ledger/period.ts'
import { needsRewrite, recover } from '../../daemon/ledger/recovery.ts'
import { DamagedLedger } from '../../daemon/ledger/schema.ts'
import {
  ForeignLedger,
  openSqliteLedger,
  type SqliteLedger,
} from '../../daemon/ledger/sqlite-ledger.ts'
import { LookupError } from '../../daemon/system/errors.ts'

const now = Date.UTC(2026, 10, 20, 12)
const HOUR = 3_600_000

const day = ({ periods }: SqliteLedger): CountingPeriod => periods.named('limit', '2026-11-20')
const hour = ({ periods }: SqliteLedger): CountingPeriod => periods.named('limit', '~60000')

/** Counts for alice, today and in the last hour. */
function add(store: SqliteLedger, count: number): void {
  for (const period of [day(store), hour(store)]) {
    store.addWithin(period, 'alice', bucketAt(period, now), count, 100, now)
  }
}

/** What becomes of an attempt to open something. */
type Attempt = 'works' | 'damaged' | 'another daemon' | 'EROFS'

interface Described {
  /** The file, at each attempt in turn; the last one holds. */
  readonly file: readonly Attempt[]
  readonly inherited?: Attempt
  readonly copy?: Attempt
  readonly setAside?: Attempt
  /** `none`: there is none. */
  readonly backup?: Attempt | 'none'
  /** What is in the file when it is opened: an account's count. */
  readonly counted?: number
}

const failures: Record<Exclude<Attempt, 'works'>, () => Error> = {
  damaged: () => new DamagedLedger('nonsense'),
  'another daemon': () => new ForeignLedger('in use by another daemon'),
  EROFS: () => new LookupError('EROFS'),
}

/** A disk, and what was done to it. */
class Disk implements LedgerDisk {
  readonly path = 'ledger.sqlite'
  readonly done: string[] = []
  #described: Described
  #opened = 0
  #stores: SqliteLedger[] = []

  constructor(described: Described) {
    this.#described = described
  }

  /** The same disk, later. */
  is(described: Described): this {
    this.#described = described
    this.#opened = 0
    this.done.length = 0
    return this
  }

  #store(counted = 0): SqliteLedger {
    const store = openSqliteLedger(':memory:', 'normal')
    if (counted > 0) add(store, counted)
    this.#stores.push(store)
    return store
  }

  #attempt(outcome: Attempt): void {
    if (outcome !== 'works') throw failures[outcome]()
  }

  open(): SqliteLedger {
    const { file, counted } = this.#described
    this.#attempt(file[Math.min(this.#opened++, file.length - 1)] ?? 'works')
    return this.#store(counted)
  }

  openMemory(): SqliteLedger {
    return this.#store()
  }

  openInheritedCopy(): SqliteLedger | undefined {
    const { inherited } = this.#described
    if (inherited === undefined || inherited === 'damaged') return undefined
    this.#attempt(inherited)
    return this.#store(3)
  }

  makeCopy(): SqliteLedger {
    this.#attempt(this.#described.copy ?? 'EROFS')
    return this.#store(2)
  }

  dropCopy(): void {
    this.done.push('copy dropped')
  }

  setAside(): string {
    this.#attempt(this.#described.setAside ?? 'works')
    this.done.push('set aside')
    return 'ASIDE'
  }

  restoreBackup(): string | undefined {
    const { backup = 'none' } = this.#described
    if (backup === 'none') return undefined
    this.#attempt(backup)
    this.done.push('restored')
    return '11:00'
  }

  dropBackup(): void {
    this.done.push('backup dropped')
  }

  async rewrite(): Promise<void> {
    this.done.push('rewritten')
  }

  dropLog(): void {
    this.done.push('log dropped')
  }

  close(): void {
    for (const store of this.#stores) store.abandon()
  }
}

const noCheck = (): void => undefined

/** `KIND: MESSAGE`, as the rows say it. */
function said(footing: Footing): string {
  return `${footing.kind}: ${describe(footing) ?? 'well'}`
}

const READ_ONLY = 'cannot write the ledger (EROFS); counting continues in a temporary copy'
const memoryBecause = (cause: string): string =>
  `memory: cannot use the ledger (${cause}); counting continues in memory only`
const FOUND = 'found at 2026-11-20T12:00:00.000Z, kept as ASIDE'
const DAMAGED = `file: the ledger was damaged (${FOUND})`

const STARTS: Record<string, { disk: Described; gives: string; done?: string[] }> = {
  'a file that works': { disk: { file: ['works'] }, gives: 'file: well', done: ['copy dropped'] },
  'a file that can only be read': {
    disk: { file: ['EROFS'], copy: 'works' },
    gives: `copy: ${READ_ONLY}`,
  },
  'a file that cannot be copied, either': {
    disk: { file: ['EROFS'] },
    gives: memoryBecause('EROFS'),
    done: ['copy dropped'],
  },
  'a copy that is damaged': {
    disk: { file: ['EROFS'], copy: 'damaged' },
    gives: memoryBecause('EROFS'),
  },
  'a damaged file with a backup': {
    disk: { file: ['damaged', 'works'], backup: 'works' },
    gives: `${DAMAGED}; the backup of 11:00 is in use`,
    done: ['set aside', 'restored'],
  },
  'a damaged file without a backup': {
    disk: { file: ['damaged', 'works'] },
    gives: `${DAMAGED}; there was no backup`,
    done: ['set aside'],
  },
  'a damaged file with a damaged backup': {
    disk: { file: ['damaged', 'damaged', 'works'], backup: 'works' },
    gives: `file: the ledger and its backup were damaged (${FOUND})`,
    done: ['set aside', 'restored', 'set aside'],
  },
  'a damaged file that cannot be moved': {
    disk: { file: ['damaged'], setAside: 'EROFS' },
    gives: memoryBecause('EROFS'),
    done: [],
  },
  'a damaged file whose backup cannot be copied': {
    disk: { file: ['damaged', 'works'], backup: 'EROFS' },
    gives: memoryBecause('EROFS'),
    done: ['set aside'],
  },
  'a copy that an earlier run left': {
    disk: { file: ['works'], inherited: 'works' },
    gives:
      'copy: cannot write the ledger (the last run could not write its counts back); counting continues in a temporary copy',
    done: [],
  },
  'a copy that an earlier run left, and that cannot be used': {
    disk: { file: ['works'], inherited: 'damaged' },
    gives: 'file: well',
  },
}

t.test('at the start', async t => {
  for (const [title, { disk: described, gives, done }] of Object.entries(STARTS)) {
    const disk = new Disk(described)
    t.equal(said(openFooting(disk, now, noCheck)), gives, title)
    if (done) t.same(disk.done, done, `${title}: what was done`)
    disk.close()
  }
})

t.test('another daemon’s file, or copy, is refused at the start', async t => {
  for (const described of [
    { file: ['another daemon'] },
    { file: ['works'], inherited: 'another daemon' },
    { file: ['EROFS'], copy: 'another daemon' },
    { file: ['damaged', 'another daemon'] },
  ] satisfies Described[]) {
    const disk = new Disk(described)
    const refusal = { name: 'LookupError', message: /in use by another daemon/ }
    t.throws(() => openFooting(disk, now, noCheck), refusal, JSON.stringify(described))
    disk.close()
  }
})

t.test(
  'a store that turns out damaged when it is read is treated as if it had not opened',
  async t => {
    const disk = new Disk({ file: ['works'], backup: 'works' })
    let seen = 0
    const footing = openFooting(disk, now, () => {
      if (++seen === 1) throw new DamagedLedger('nonsense')
    })
    t.equal(said(footing), `${DAMAGED}; the backup of 11:00 is in use`)
    t.equal(seen, 2)
    disk.close()
  },
)

type State =
  | 'closed'
  | 'file'
  | 'damaged file'
  | 'file deleted'
  | 'copy'
  | 'damaged copy'
  | 'memory'

/** A footing in which alice has 1 more than at the start. */
function inState(state: State, disk: Disk): Footing {
  if (state === 'closed') return { kind: 'closed' }
  if (state === 'memory') disk.is({ file: ['EROFS'] })
  else if (/copy/.test(state)) disk.is({ file: ['EROFS'], copy: 'works' })
  else disk.is({ file: ['works'], counted: 2 })
  const footing = openFooting(disk, now - 2 * HOUR, noCheck)
  add(footing.store, 1)
  if (state === 'file deleted') footing.store.isDetached = () => true
  if (!/^damaged/.test(state) || footing.kind === 'memory') return footing
  return { ...footing, health: 'damaged' }
}

interface Recovery {
  readonly from: State
  readonly disk: Described
  readonly gives: string
  /** What alice has used. */
  readonly used?: number
  readonly done?: string[]
}

const WORKS: Described = { file: ['works'], counted: 2, backup: 'works' }
const REWRITTEN =
  'file: ledger.sqlite or a file beside it was deleted or replaced while in use; it was written again at 2026-11-20T12:00:00.000Z'

const RECOVERIES: Record<string, Recovery> = {
  'nothing to do when it is closed': {
    from: 'closed',
    disk: WORKS,
    gives: 'closed: well',
    done: [],
  },
  'nothing to do with a sound file': {
    from: 'file',
    disk: WORKS,
    gives: 'file: well',
    used: 3,
    done: [],
  },

  'a damaged file gives way to its backup': {
    from: 'damaged file',
    disk: WORKS,
    gives: `${DAMAGED}; the backup of 11:00 is in use`,
    used: 3,
    done: ['set aside', 'restored'],
  },
  'a damaged file, and its backup too': {
    from: 'damaged file',
    disk: { file: ['damaged', 'works'], backup: 'works' },
    gives: `file: the ledger and its backup were damaged (${FOUND})`,
    used: 3,
  },
  'a damaged file that cannot be moved': {
    from: 'damaged file',
    disk: { ...WORKS, setAside: 'EROFS' },
    gives: memoryBecause('EROFS'),
    used: 3,
  },
  'a damaged file that another daemon takes meanwhile': {
    from: 'damaged file',
    disk: { file: ['another daemon'] },
    gives: memoryBecause('in use by another daemon'),
    used: 3,
  },

  'a file that was deleted is written again': {
    from: 'file deleted',
    disk: WORKS,
    gives: REWRITTEN,
    used: 3,
    done: ['rewritten', 'log dropped', 'copy dropped'],
  },
  'a file that was deleted, on a disk that has become read-only': {
    from: 'file deleted',
    disk: { file: ['EROFS'], copy: 'works' },
    gives: `copy: ${READ_ONLY}`,
    used: 3,
  },
  'a file that was deleted and comes back damaged': {
    from: 'file deleted',
    disk: { file: ['damaged', 'works'] },
    gives: `${DAMAGED}; there was no backup`,
    used: 3,
  },

  'a copy waits for its file': {
    from: 'copy',
    disk: { file: ['EROFS'] },
    gives: `copy: ${READ_ONLY}`,
    used: 3,
    done: [],
  },
  'a copy says what is wrong now': {
    from: 'copy',
    disk: { file: ['another daemon'] },
    gives: `copy: ${READ_ONLY.replace('EROFS', 'in use by another daemon')}`,
    used: 3,
  },
  'a copy goes back to another file': {
    from: 'copy',
    disk: WORKS,
    gives: 'file: well',
    used: 5,
    done: ['copy dropped'],
  },
  'a copy whose file is damaged by now': {
    from: 'copy',
    disk: { file: ['damaged', 'works'] },
    gives: `${DAMAGED}; there was no backup`,
    used: 3,
  },
  'a damaged copy goes back to its file': {
    from: 'damaged copy',
    disk: { file: ['works'] },
    gives: 'file: well',
    used: 3,
  },
  'a damaged copy without a file is left for memory': {
    from: 'damaged copy',
    disk: { file: ['EROFS'] },
    gives: memoryBecause('EROFS'),
    used: 3,
    done: ['copy dropped'],
  },

  'memory waits for the file': {
    from: 'memory',
    disk: { file: ['EROFS'] },
    gives: memoryBecause('EROFS'),
    used: 1,
    done: [],
  },
  'memory goes on top of the file': {
    from: 'memory',
    disk: WORKS,
    gives: 'file: well',
    used: 3,
    done: ['copy dropped'],
  },
  'memory finds a damaged file, and its backup': {
    from: 'memory',
    disk: { file: ['damaged', 'works'], counted: 2, backup: 'works' },
    gives: `${DAMAGED}; the backup of 11:00 is in use`,
    used: 3,
    done: ['set aside', 'restored', 'copy dropped'],
  },
  'memory finds a damaged file that cannot be moved': {
    from: 'memory',
    disk: { file: ['damaged'], setAside: 'EROFS' },
    gives: memoryBecause('EROFS'),
    used: 1,
  },
}

for (const [title, { from, disk: described, gives, used, done }] of Object.entries(RECOVERIES)) {
  t.test(`recovery: ${title}`, async t => {
    const disk = new Disk({ file: ['works'] })
    const before = inState(from, disk)
    disk.is(described)
    if (needsRewrite(before)) await disk.rewrite()
    const after = recover(before, disk, now)
    t.equal(said(after), gives)
    if (done) t.same(disk.done, done, 'what was done')
    if (after.kind !== 'closed') {
      t.equal(after.store.used(day(after.store), 'alice', now), used, 'today')
      t.equal(after.store.used(hour(after.store), 'alice', now), used, 'in the last hour')
    }
    disk.close()
  })
}

t.test(
  'a backup that could not be copied is put in place before the file is used again',
  async t => {
    const disk = new Disk({ file: ['damaged', 'works'], backup: 'EROFS' })
    const first = openFooting(disk, now, noCheck)
    t.equal(first.kind, 'memory')
    disk.is({ file: ['works'], backup: 'EROFS' })
    const second = recover(first, disk, now)
    t.equal(said(second), memoryBecause('EROFS'), 'not yet')
    disk.is(WORKS)
    t.equal(said(recover(second, disk, now)), 'file: well')
    t.same(disk.done, ['restored', 'copy dropped'])
    disk.close()
  },
)

t.test('a file that breaks again within an hour had a broken backup', async t => {
  for (const [hours, dropped] of [
    [0.9, true],
    [1.1, false],
  ] as const) {
    const disk = new Disk(WORKS)
    const first = recover(inState('damaged file', disk), disk.is(WORKS), now)
    if (first.kind !== 'file') return t.fail(first.kind)
    recover({ ...first, health: 'damaged' }, disk.is(WORKS), now + hours * HOUR)
    t.equal(disk.done.includes('backup dropped'), dropped, `after ${hours} h`)
    disk.close()
  }
})

t.test('a turn that could not be written is what the operator has to know first', async t => {
  for (const state of ['file', 'copy', 'memory'] as const) {
    const disk = new Disk({ file: ['works'] })
    const footing = inState(state, disk)
    if (footing.kind === 'closed') return
    t.equal(
      describe({ ...footing, unsettled: 'ENOSPC' }),
      'cannot write the ledger (ENOSPC); the latest counts are in memory only',
    )
    disk.close()
  }
})
