/**
 * Records of files for a command: what is damaged is named on standard error and skipped, and how far it is
 * is shown on a terminal.
 */

import type { LeftOut } from '../replay/mail-log.ts'
import type { Recorded } from '../replay/record.ts'
import { wrap } from '../text/wrap.ts'
import type { Host } from './host.ts'
import { counted, shortName } from './number-text.ts'
import { Progress } from './progress.ts'

/** Damaged lines that are named. */
const MOST_NAMED = 20
const LONGEST_NAME = 200
const COLUMNS = 79

export class PastRecords {
  readonly #host: Host
  readonly progress: Progress
  readonly records: AsyncIterable<readonly Recorded[]>
  damaged = 0
  /** Files that a trace, or a log, was found in. */
  recognized = 0
  /** Messages of logs that are left out; undefined: there was no log. */
  leftOut: LeftOut | undefined

  static async open(host: Host, names: readonly string[]): Promise<PastRecords> {
    const files = await host.past.files(names)
    if (files.length > names.length) {
      const list = files.map(({ name }) => shortName(name, LONGEST_NAME))
      host.err(`Reading, the oldest first: ${list.join(' ')}\n`)
    }
    return new PastRecords(host, files)
  }

  private constructor(host: Host, files: Awaited<ReturnType<Host['past']['files']>>) {
    this.#host = host
    const total = files.reduce((sum, { size }) => sum + size, 0)
    const print = host.isTerminal ? host.err : undefined
    const progress = new Progress(print, host.clock, total)
    this.progress = progress
    this.records = host.past.records({
      files,
      damaged: ({ file, line }, why) => {
        this.damaged++
        if (this.damaged <= MOST_NAMED) this.complain(`${file}:${line}: ${why}; skipped`)
      },
      unreadable: (file, why) => {
        const [first = '', ...rest] = why.split(/(?<=\.) (?=[A-Z])/)
        for (const line of [`${file}: ${first}`, ...rest]) this.complain(line)
      },
      recognized: () => {
        this.recognized++
      },
      leftOut: some => {
        this.leftOut = some
      },
      noteRead: bytes => {
        progress.bytes += bytes
      },
    })
  }

  complain(message: string): void {
    this.progress.clear()
    this.#host.err(`${shortName(message, 2 * LONGEST_NAME)}\n`)
  }

  /** To be called when all records were read. False if nothing was readable. */
  end(): boolean {
    this.progress.clear()
    const more = this.damaged - MOST_NAMED
    if (more > 0) this.#host.err(`and ${counted(more, 'more damaged line')}\n`)
    const unnamed = this.leftOut?.unnamed ?? 0
    if (unnamed > 0) {
      const told =
        `${counted(unnamed, 'message')} of users went through a filter before the queue ` +
        '(smtpd_proxy_filter) that does not tell their queue IDs: their recipients are not ' +
        'counted here, so limits would have been reached earlier.'
      this.#host.err(`${wrap(told, COLUMNS).join('\n')}\n`)
    }
    if (this.recognized > 0) return true
    this.#host.err('There was nothing to read: neither a trace nor a log of Postfix.\n')
    return false
  }
}
