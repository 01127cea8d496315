/**
 * What all accounts together have sent in each hour, as the file has it, remembered: an hour of a million accounts
 * takes 25 ms to add up, and a plot of a week has 168.
 */

/** Some years; beyond that all is forgotten, and added up again. */
const MOST_HOURS = 50_000

export interface Totals {
  readonly messages: number
  readonly recipients: number
  readonly refused: number
}

export class HourTotals {
  /** By hours since 1970. */
  readonly #known = new Map<number, Totals>()
  /** Hours that were written while somebody was adding up. */
  readonly #written = new Set<Set<number>>()

  get(hour: number): Totals | undefined {
    return this.#known.get(hour)
  }

  /** Somebody begins to add up what the file has now. What it finds is remembered, unless it was written meanwhile. */
  begin(): { put(hour: number, totals: Totals): void; end(): void } {
    const written = new Set<number>()
    this.#written.add(written)
    return {
      put: (hour, totals) => {
        if (written.has(hour) || written.has(ALL)) return
        if (this.#known.size >= MOST_HOURS) this.#known.clear()
        this.#known.set(hour, totals)
      },
      end: () => void this.#written.delete(written),
    }
  }

  /** These hours are different in the file from now on. */
  drop(hours: Iterable<number>): void {
    for (const hour of hours) {
      this.#known.delete(hour)
      for (const written of this.#written) written.add(hour)
    }
  }

  /** What was before that hour is deleted. */
  dropBefore(hour: number): void {
    for (const known of this.#known.keys()) if (known < hour) this.#known.delete(known)
  }

  clear(): void {
    this.#known.clear()
    for (const written of this.#written) written.add(ALL)
  }
}

const ALL = -1
