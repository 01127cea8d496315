/**
 * The history as the daemon has it, whether it is switched on or not. Where it is off there is neither a
 * thread nor a file.
 */

import type { History, HistoryStatus } from '../policy/ports/history.ts'
import type { VerdictSink } from '../policy/verdict-record.ts'
import { type HistoryFigures, OpenHistory } from './history.ts'

const OFF: HistoryStatus = { state: 'off', problem: undefined, days: 0, gaps: [] }

type Options = ConstructorParameters<typeof OpenHistory>[0]

export class HistorySlot {
  readonly #options: Omit<Options, 'days'>
  #open: OpenHistory | undefined
  #closing: Promise<void> = Promise.resolve()

  /** Opens nothing yet. */
  constructor(options: Omit<Options, 'days'>) {
    this.#options = options
  }

  /** Undefined: it is off. */
  get history(): History | undefined {
    return this.#open
  }

  readonly note: VerdictSink = record => this.#open?.note(record)

  status(): HistoryStatus {
    return this.#open?.status() ?? OFF
  }

  /** For monitoring; undefined: it is off. */
  figures(): HistoryFigures | undefined {
    return this.#open?.figures()
  }

  /** From now on it is kept for this many days, at least 1. Rejects with nothing. */
  async open(days: number): Promise<void> {
    await this.#closing
    if (this.#open) {
      this.#open.setDays(days)
      return
    }
    this.#open = new OpenHistory({ ...this.#options, days })
  }

  /** The files are kept. Resolves when they are closed. */
  close(): Promise<void> {
    const open = this.#open
    this.#open = undefined
    if (open) this.#closing = open.close().catch(() => undefined)
    return this.#closing
  }
}
