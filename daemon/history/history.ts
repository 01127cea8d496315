/**
 * The history of a running daemon: verdicts go into the spool, from which a thread of its own takes them; the
 * thread also answers queries. A million accounts take some 200 MB of memory there.
 */

import { accountName } from '../policy/account.ts'
import type {
  AccountHistory,
  CountrySums,
  Deleted,
  Gap,
  History,
  HistoryStatus,
  HourlySums,
  HourSums,
  Refusal,
  RefusalKey,
  RefusalPage,
  RefusalQuery,
  SeenStep,
  SenderSums,
  TopQuery,
} from '../policy/ports/history.ts'
import type { VerdictRecord } from '../policy/verdict-record.ts'
import type { Cancel, Clock } from '../system/clock.ts'
import { RunningThread } from './running-thread.ts'
import { Spool } from './spool.ts'

const TIDY_MILLISECONDS = 60_000
/** For what happened to the spool. */
const LOOK_MILLISECONDS = 1000
const DAY = 86_400_000

export interface HistoryOptions {
  /** The SQLite file; the spool is beside it. */
  readonly path: string
  readonly clock: Clock
  readonly days: number
  /** For the log. */
  readonly failed: (message: string) => void
}

/** Since it was opened. */
export interface HistoryFigures {
  readonly noted: number
  readonly lost: number
  readonly unreadBytes: number
  /** Times of which not everything is known, at most a hundred. */
  readonly gaps: number
}

export class OpenHistory implements History {
  readonly #clock: Clock
  readonly #spool: Spool
  readonly #thread: RunningThread
  readonly #began: { readonly now: number; readonly elapsed: number }
  #days: number
  #cancel: Cancel
  #tidiedAt: number

  constructor({ path, clock, days, failed }: HistoryOptions) {
    this.#clock = clock
    this.#days = days
    this.#spool = new Spool(path, clock)
    this.#thread = new RunningThread({
      path,
      clock,
      taken: place => this.#spool.taken(place),
      ended: why => failed(`the history's thread has ended and is started again: ${why}`),
    })
    this.#began = { now: clock.now(), elapsed: clock.elapsed() }
    this.#tidiedAt = Number.NEGATIVE_INFINITY
    this.#cancel = this.#wait()
  }

  nextCode(): string {
    return this.#spool.nextCode()
  }

  note(record: VerdictRecord): void {
    this.#spool.note(record)
  }

  explained(code: string, steps: readonly SeenStep[]): void {
    this.#spool.explained(code, steps)
  }

  top(query: TopQuery): Promise<readonly SenderSums[]> {
    return this.#thread.ask('top', { query }, this.#spool.flush())
  }

  account(name: string): Promise<AccountHistory | undefined> {
    return this.#thread.ask('account', { name }, this.#spool.flush())
  }

  refusals(key: RefusalKey): Promise<readonly Refusal[]> {
    return this.#thread.ask('refusals', { key }, this.#spool.flush())
  }

  accounts(prefix: string, most: number): Promise<readonly string[]> {
    return this.#thread.ask('accounts', { prefix, most }, this.#spool.flush())
  }

  recentCodes(prefix: string, most: number): Promise<readonly string[]> {
    return this.#thread.ask('recentCodes', { prefix, most }, this.#spool.flush())
  }

  async *hours(since: number, until: number): AsyncGenerator<readonly HourSums[], void> {
    let after: number | undefined
    for (;;) {
      const question = { since, until, after }
      const found = await this.#thread.ask('hours', question, this.#spool.flush())
      after = found.after
      if (after === undefined) return
      yield found.sums
    }
  }

  series(
    since: number,
    until: number,
    accounts: readonly string[] | undefined,
  ): Promise<HourlySums> {
    return this.#thread.ask('series', { since, until, accounts }, this.#spool.flush())
  }

  countries(since: number, until: number): Promise<readonly CountrySums[]> {
    return this.#thread.ask('countries', { since, until }, this.#spool.flush())
  }

  refusalPage(query: RefusalQuery): Promise<RefusalPage> {
    return this.#thread.ask('refusalPage', { query }, this.#spool.flush())
  }

  async forget(account: string): Promise<Deleted | undefined> {
    // The account is in the files that were written so far.
    const place = this.#spool.rotate()
    return await this.#thread.ask('forget', { name: accountName(account, '') }, place)
  }

  status(): HistoryStatus {
    const problem = this.#spool.problem ?? this.#thread.problem
    const gap = this.#spool.gap
    const gaps: readonly Gap[] = gap ? [...this.#thread.gaps, gap] : this.#thread.gaps
    return {
      state: problem === undefined ? 'ok' : 'failed',
      problem,
      days: this.#days,
      gaps: gaps.slice(-100),
    }
  }

  /** For monitoring. */
  figures(): HistoryFigures {
    const { noted, lost, unreadBytes } = this.#spool
    return { noted, lost, unreadBytes, gaps: this.status().gaps.length }
  }

  setDays(days: number): void {
    this.#days = days
    this.#tidiedAt = Number.NEGATIVE_INFINITY
  }

  /** Resolves when everything is closed; what is in the spool is read at the next start. */
  async close(): Promise<void> {
    this.#cancel()
    this.#spool.close()
    await this.#thread.close()
  }

  #wait(): Cancel {
    return this.#clock.after(LOOK_MILLISECONDS, () => {
      this.#spool.look()
      const now = this.#clock.elapsed()
      if (now - this.#tidiedAt >= TIDY_MILLISECONDS) {
        this.#tidiedAt = now
        this.#thread.tidy(this.#plausible(), this.#days)
      }
      this.#cancel = this.#wait()
    })
  }

  /** A clock that has jumped ahead by months must not cause recent days to be deleted. */
  #plausible(): number {
    const passed = this.#clock.elapsed() - this.#began.elapsed
    return Math.min(this.#clock.now(), this.#began.now + passed + DAY)
  }
}
