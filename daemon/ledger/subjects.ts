/**
 * The names of all windows together: most subjects are counted in several windows, and names take the most
 * memory.
 *
 * A subject has a number, by which each window has what it has counted. Subjects whose hash begins with
 * the same byte have one table, and are one page of each window in the file, with names of its own, so
 * that pages come and go by themselves.
 */

import { Name } from '../memory/name.ts'
import { NameTable } from '../memory/name-table.ts'
import { PAGES } from './file.ts'

/** Names of subjects that no window has any more are kept up to this number. */
const FEW_NAMES = 64

/** The page of a subject. */
export function pageOf(subject: number): number {
  return subject & (PAGES - 1)
}

export class Subjects {
  readonly #seed: number
  readonly #name: Name
  readonly #tables: (NameTable | undefined)[] = new Array(PAGES).fill(undefined)
  /** What was looked for last, by all windows one after the other, and its number. */
  #sought = 0
  #found = -1
  /** The one before: some subjects, such as a domain, come with every message. */
  #soughtBefore = 0
  #foundBefore = -1

  constructor(seed: number) {
    this.#seed = seed
    this.#name = new Name(seed)
  }

  /** Memory that the names of a page take. */
  bytesIn(page: number): number {
    return this.#tables[page]?.byteLength ?? 0
  }

  /** How many names a page has; its subjects are `subjectIn(page, 0)` and so on. */
  countIn(page: number): number {
    return this.#tables[page]?.count ?? 0
  }

  /** The number of a name, or -1. */
  find(name: Name): number {
    if (name.filling === this.#sought) return this.#found
    if (name.filling === this.#soughtBefore) this.#swap()
    else {
      const page = name.hash >>> 24
      const number = this.#tables[page]?.find(name) ?? -1
      this.#soughtBefore = this.#sought
      this.#foundBefore = this.#found
      this.#sought = name.filling
      this.#found = number < 0 ? -1 : subjectIn(page, number)
    }
    return this.#found
  }

  /** The number of a name, which is added if it is new. */
  add(name: Name): number {
    if (this.find(name) < 0) {
      const page = name.hash >>> 24
      this.#tables[page] ??= new NameTable(this.#seed)
      this.#found = subjectIn(page, this.#tables[page].add(name))
      // It may be the name that was looked for before, without success.
      this.#soughtBefore = 0
    }
    return this.#found
  }

  /** Makes room for the first names of a page, exactly. */
  reserve(page: number, names: number, bytes: number): void {
    this.#tables[page] ??= new NameTable(this.#seed, names, bytes)
  }

  addBytes(bytes: Uint8Array): number {
    return this.add(this.#name.ofBytes(bytes))
  }

  /** The bytes of a name, not copied. */
  bytesOf(subject: number): Uint8Array {
    return this.#tables[pageOf(subject)]?.bytesOf(subject >>> 8) ?? new Uint8Array()
  }

  nameOf(subject: number): string {
    const { buffer, byteOffset, byteLength } = this.bytesOf(subject)
    return Buffer.from(buffer, byteOffset, byteLength).toString()
  }

  /** Drops all names of a page. */
  drop(page: number): void {
    if (!this.#tables[page]) return
    this.#tables[page] = undefined
    this.#forgetSought()
  }

  /** Drops names of a page that are not in use, if they are many. `move` hears of those that have another number then. */
  tidy(
    page: number,
    isUsed: (subject: number) => boolean,
    move: (from: number, to: number) => void,
  ): void {
    const table = this.#tables[page]
    if (!table || table.count <= FEW_NAMES) return
    const used: number[] = []
    for (let number = 0; number < table.count; number++) {
      if (isUsed(subjectIn(page, number))) used.push(number)
    }
    if (used.length > table.count / 2) return
    const tidied = new NameTable(this.#seed, used.length)
    for (const number of used) tidied.add(this.#name.ofBytes(table.bytesOf(number)))
    this.#tables[page] = tidied
    this.#forgetSought()
    // From the lowest on: the places that they move to are free by then.
    for (const [to, from] of used.entries()) {
      if (from !== to) move(subjectIn(page, from), subjectIn(page, to))
    }
  }

  #swap(): void {
    const [sought, found] = [this.#sought, this.#found]
    this.#sought = this.#soughtBefore
    this.#found = this.#foundBefore
    this.#soughtBefore = sought
    this.#foundBefore = found
  }

  #forgetSought(): void {
    this.#sought = 0
    this.#soughtBefore = 0
  }
}

/** The subject with this number in the table of its page. */
export function subjectIn(page: number, number: number): number {
  return number * PAGES + page
}
