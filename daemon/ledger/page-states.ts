/** The pages of one window: which are in memory, which have changed, and how many subjects each has. */

import { PAGES } from './file.ts'
import { pageOf } from './subjects.ts'

const [LOADED, DIRTY] = [1, 2]
/** Names of a page that have to be written again, however many are in the file. */
const ALL = -1

export class PageStates {
  readonly #states = new Uint8Array(PAGES)
  readonly #counts = new Uint32Array(PAGES)
  /** How many names of each page are in the file. */
  readonly #written = new Int32Array(PAGES)
  /** The folding before which each was last used, from 1 on; 0 if it is not in memory. */
  readonly #usedAt = new Float64Array(PAGES)
  #loaded = 0
  #count = 0

  /** How many subjects all pages in memory have. */
  get count(): number {
    return this.#count
  }

  /** How many pages are in memory. */
  get loaded(): number {
    return this.#loaded
  }

  isLoaded(page: number): boolean {
    return this.#states[page] !== 0
  }

  /** True if it has something that is not in the file. */
  isDirty(page: number): boolean {
    return this.#states[page] === DIRTY
  }

  countIn(page: number): number {
    return this.#counts[page] ?? 0
  }

  usedAt(page: number): number {
    return this.#usedAt[page] ?? 0
  }

  /** It is used now. False if it is not in memory. */
  use(page: number, age: number): boolean {
    if (this.#usedAt[page] === age) return true
    if (!this.isLoaded(page)) return false
    this.#usedAt[page] = age
    return true
  }

  /** It is in memory from now on, with no subject yet. */
  load(page: number): void {
    this.#states[page] = LOADED
    this.#loaded++
  }

  /** It is not in memory any more. */
  drop(page: number): void {
    this.#states[page] = 0
    this.#usedAt[page] = 0
    this.#count -= this.countIn(page)
    this.#counts[page] = 0
    this.#written[page] = 0
    this.#loaded--
  }

  added(subject: number): void {
    const page = pageOf(subject)
    this.#counts[page] = this.countIn(page) + 1
    this.#count++
  }

  removed(subject: number): void {
    const page = pageOf(subject)
    this.#counts[page] = this.countIn(page) - 1
    this.#count--
    this.#written[page] = ALL
  }

  changed(subject: number): void {
    this.#states[pageOf(subject)] = DIRTY
  }

  /** Are the names in the file still those of its subjects, in their order? */
  hasItsNames(page: number): boolean {
    return this.#written[page] === this.#counts[page]
  }

  /** Names, in the order of their numbers, are in the file. */
  namesAreWritten(page: number): void {
    this.#written[page] = this.#counts[page] ?? 0
  }

  /** Those in the file are in another order. */
  namesDiffer(page: number): void {
    this.#written[page] = ALL
  }

  /** What was packed last has been written. */
  isWritten(page: number): void {
    this.#states[page] = LOADED
    this.namesAreWritten(page)
  }
}
