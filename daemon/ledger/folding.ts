/**
 * Folding: pages with changes are written from memory to the file, after which the journal's records
 * of those changes are no longer needed.
 *
 *   idle ──fold──▶ folding ──last pages written──▶ idle        held: during a backup, from either
 *
 * A folding writes the pages that had changes when it began, a few in each step. The place in the
 * journal where it began goes into the file with the last of them; until then a crash costs nothing
 * but reading the journal from the place before. Sums are absolute, so reading them twice does no harm.
 */

import type { AccountPages, PlacedPage } from './account-pages.ts'
import { REMEMBERED } from './decided-messages.ts'
import type { LedgerFile, PackedPage } from './file.ts'
import type { Journal } from './journal.ts'
import { JOURNAL_FILE_BYTES, type JournalPlace } from './journal-files.ts'

/** Bytes of pages written by one step: less than a millisecond of work. */
const STEP_BYTES = 128 * 1024
/** Bytes of the journal that are not folded: what a start after a crash has to read. */
const LEAST_UNFOLDED_BYTES = 2 * JOURNAL_FILE_BYTES
/** More of them, up to this, if a folding writes more itself. */
const MOST_UNFOLDED_BYTES = 4 * JOURNAL_FILE_BYTES
/**
 * Or this part of what the last folding wrote: if strangers make up millions of subjects, each folding
 * writes all pages, and the work per request must not grow with their number.
 */
const UNFOLDED_PART = 1 / 16

type Progress =
  | { readonly kind: 'idle' }
  /** `pages` are still to be written; `upTo` is the place in the journal where this folding began. */
  | { readonly kind: 'folding'; readonly pages: readonly PlacedPage[]; readonly upTo: JournalPlace }
type State = Progress | { readonly kind: 'held'; readonly before: Progress }

const IDLE: Progress = { kind: 'idle' }

export class Folding {
  readonly #file: LedgerFile
  readonly #journal: Journal
  readonly #pages: AccountPages
  readonly #settle: () => void
  #state: State = IDLE
  /** Up to where the journal is folded. */
  #foldedTo: JournalPlace
  /** True if anything was counted since the last folding began. */
  #hasChanges = false
  /** Bytes of pages that the last folding has written, and this one until now. */
  #lastBytes = 0
  #bytes = 0
  /** How many were completed. */
  completed = 0

  /** `settle` writes the journal's record. */
  constructor(file: LedgerFile, journal: Journal, pages: AccountPages, settle: () => void) {
    this.#file = file
    this.#journal = journal
    this.#pages = pages
    this.#settle = settle
    this.#foldedTo = file.folded()
    // A journal that ends before that place would not be read up to where it continues now.
    if (isBefore(journal.place, this.#foldedTo)) {
      const { place } = journal
      file.writePages([], () => place)
      this.#foldedTo = place
    }
  }

  /** Something was counted, or decided. */
  noteChange(): void {
    this.#hasChanges = true
  }

  /** True if the next folding should not wait for its time. */
  get isDue(): boolean {
    const usual = Math.min(2 * this.#lastBytes, MOST_UNFOLDED_BYTES)
    const most = Math.max(LEAST_UNFOLDED_BYTES, usual, this.#lastBytes * UNFOLDED_PART)
    const isMuch = this.unfoldedBytes >= most
    return this.#journal.hasDropped || isMuch || this.#pages.hasReadMany
  }

  /** Bytes of the journal that are not folded: what a start after a crash has to read. */
  get unfoldedBytes(): number {
    return this.#journal.bytesSince(this.#foldedTo)
  }

  get isHeld(): boolean {
    return this.#state.kind === 'held'
  }

  /** Does one step; true if this folding has more to do. False, too, while it is held. Throws. */
  fold(): boolean {
    if (this.#state.kind === 'held') return false
    if (this.#step(this.#state, STEP_BYTES)) return true
    this.#journal.release(this.#foldedTo, REMEMBERED)
    return false
  }

  /** Writes all changes, also while it is held. Throws. */
  foldAll(): void {
    // What was begun, and what has changed since.
    this.#step(this.#progress, Number.POSITIVE_INFINITY)
    this.#step(this.#progress, Number.POSITIVE_INFINITY)
  }

  /** Nothing is written to the file while this work is being done. */
  async hold(work: () => Promise<void>): Promise<void> {
    if (this.#state.kind === 'held') throw new Error('a backup is being made already')
    this.#state = { kind: 'held', before: this.#state }
    try {
      await work()
    } finally {
      if (this.#state.kind === 'held') this.#state = this.#state.before
    }
  }

  get #progress(): Progress {
    return this.#state.kind === 'held' ? this.#state.before : this.#state
  }

  #step(progress: Progress, mostBytes: number): boolean {
    if (progress.kind === 'idle' && !this.#hasChanges) {
      this.#pages.trim()
      return false
    }
    // The journal first: a sum in the file whose message is not known would be counted twice.
    try {
      this.#settle()
    } catch (error) {
      // Where the journal takes nothing any more, sums are kept all the same.
      if (!this.#journal.hasDropped) throw error
    }
    const { pages, upTo } = progress.kind === 'folding' ? progress : this.#begin()
    const written: PlacedPage[] = []
    const isLast = (): boolean => written.length === pages.length
    const contents = this.#packed(pages, written, mostBytes)
    this.#file.writePages(contents, () => (isLast() ? upTo : undefined))
    for (const { window, number } of written) window.states.isWritten(number)
    if (!isLast()) {
      this.#state = { kind: 'folding', pages: pages.slice(written.length), upTo }
      return true
    }
    this.#state = IDLE
    this.completed++
    this.#foldedTo = upTo
    this.#lastBytes = this.#bytes
    this.#pages.trim()
    return false
  }

  #begin(): Extract<Progress, { kind: 'folding' }> {
    const upTo = this.#journal.place
    const begun = { kind: 'folding', pages: this.#pages.changed(), upTo } as const
    // Now, lest a failure of the first step lose what is to be written.
    this.#state = begun
    this.#hasChanges = false
    this.#bytes = 0
    this.#journal.resume()
    return begun
  }

  /** The next pages, up to a number of bytes, which are noted in `written`. */
  *#packed(
    pages: readonly PlacedPage[],
    written: PlacedPage[],
    mostBytes: number,
  ): Iterable<PackedPage> {
    const before = this.#bytes
    for (const next of pages) {
      if (this.#bytes - before >= mostBytes || next.period.id === undefined) return
      const { sums, names } = next.window.pack(next.number)
      written.push(next)
      this.#bytes += sums.length + (names?.length ?? 0)
      yield { period: next.period.id, number: next.number, sums, names }
    }
  }
}

function isBefore(one: JournalPlace, other: JournalPlace): boolean {
  return one.file < other.file || (one.file === other.file && one.offset < other.offset)
}
