/** Starts that had no orderly stop before them: one is an accident, several are a restart loop. */

/** Those that count. */
const WITHIN_MILLISECONDS = 900_000
/** Remembered starts. */
const MOST_STARTS = 100

export class Crashes {
  /** Milliseconds since 1970. */
  #crashed: number[] = []
  #isRunning = false

  /** In the order of the records. */
  note(is: 'start' | 'stop', at: number): void {
    if (is === 'start' && this.#isRunning) {
      this.#crashed.push(at)
      if (this.#crashed.length > MOST_STARTS) this.#crashed.shift()
    }
    this.#isRunning = is === 'start'
  }

  within(now: number): number {
    return this.#crashed.filter(at => Math.abs(now - at) < WITHIN_MILLISECONDS).length
  }

  /** What is worth keeping. */
  *records(now: number): Iterable<{ readonly is: 'start' | 'stop'; readonly at: number }> {
    const crashed = this.#crashed.filter(at => Math.abs(now - at) < WITHIN_MILLISECONDS)
    const [first] = crashed
    // A crash is a start that follows a start.
    if (first !== undefined) yield { is: 'start', at: first }
    for (const at of crashed) yield { is: 'start', at }
    if (first === undefined && this.#isRunning) yield { is: 'start', at: now }
    if (first !== undefined && !this.#isRunning) yield { is: 'stop', at: now }
  }
}
