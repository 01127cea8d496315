/**
 * Postfix's log, followed for as long as a configuration in force counts mail. Nothing waits for it: a log
 * that cannot be read is looked for again now and then, and `status` says so.
 */

import type { MailLogStatus } from '../control/protocol.ts'
import type { LedgerSlot } from '../ledger/slot.ts'
import type { OpenLog } from '../log/logger.ts'
import { followFile } from '../maillog/follow-file.ts'
import { followJournal, JOURNAL } from '../maillog/follow-journal.ts'
import { type Following, READ_BACK_MILLISECONDS } from '../maillog/following.ts'
import { GiveBack } from '../maillog/give-back.ts'
import { lineParser } from '../maillog/parser.ts'
import { REFUSING_PROGRAMS } from '../maillog/refusals.ts'
import { findMailLog, type Places } from '../maillog/source.ts'
import type { Cancel, Clock } from '../system/clock.ts'
import { describeError } from '../system/errors.ts'
import { rateLimited } from '../system/rate-limited.ts'

/** With `auto`, until one is found. */
const LOOK_MILLISECONDS = 1000
/** With `auto`, for a better one, should Postfix log elsewhere from now on. */
const LOOK_AGAIN_MILLISECONDS = 60_000

export interface MailLogOptions {
  readonly places: Places
  readonly clock: Clock
  readonly slot: LedgerSlot
  readonly log: () => OpenLog
}

export class MailLog {
  readonly #options: MailLogOptions
  readonly #giveBack: GiveBack
  /** As in the configuration: auto, none, journal or a path. */
  #setting = 'none'
  #following: Following | undefined
  /** What `auto` found last and could not read. */
  #missing: { readonly source: string; readonly problem: string } | undefined
  #cancel: Cancel | undefined
  /** Changes, one after the other. */
  #last: Promise<void> = Promise.resolve()

  constructor(options: MailLogOptions) {
    const { clock, slot, log } = options
    this.#options = options
    this.#giveBack = new GiveBack({
      parse: lineParser({ now: clock.now }),
      ledger: slot.ledger,
      since: clock.now() - READ_BACK_MILLISECONDS,
      clock,
      tell: (message, fields) => log().event(message, fields),
      failed: rateLimited(clock, message => log().error(message)),
    })
  }

  /** From now on it is the log that a configuration names. Cannot fail. */
  use(setting: string): void {
    if (setting === this.#setting) return
    this.#setting = setting
    this.#change(() => this.#restart(setting))
  }

  status(): MailLogStatus {
    const common = { setting: this.#setting, givenBack: this.#giveBack.messages }
    if (this.#setting === 'none') return { ...common, state: 'off', source: '', problem: undefined }
    const { source, problem } = this.#following ?? this.#missing ?? NOT_LOOKED_FOR
    return { ...common, state: problem === undefined ? 'reading' : 'unreadable', source, problem }
  }

  /** Resolves when no file is open and no program is running any more. */
  async stop(): Promise<void> {
    this.use('none')
    await this.#last
    this.#giveBack.stop()
  }

  #change(work: () => Promise<void>): void {
    this.#last = this.#last.then(work).catch(error => {
      this.#options.log().error(`could not follow Postfix's log: ${describeError(error)}`)
    })
  }

  async #restart(setting: string): Promise<void> {
    this.#cancel?.()
    this.#missing = undefined
    const before = this.#following
    this.#following = undefined
    await before?.stop()
    if (setting === 'auto') await this.#find()
    else if (setting !== 'none') this.#following = this.#follow(setting)
  }

  async #find(): Promise<void> {
    const { places, clock } = this.#options
    const found = await findMailLog(places, clock.now())
    if (this.#setting !== 'auto') return
    const before = this.#following
    if (!('problem' in found) && found.source !== before?.source) {
      this.#following = this.#follow(found.source)
      await before?.stop()
    }
    this.#missing = 'problem' in found ? found : undefined
    const milliseconds = this.#following ? LOOK_AGAIN_MILLISECONDS : LOOK_MILLISECONDS
    this.#cancel = clock.after(milliseconds, () => this.#change(() => this.#find()))
  }

  #follow(source: string): Following {
    const { clock } = this.#options
    const { take } = this.#giveBack
    return source === JOURNAL
      ? followJournal({ programs: REFUSING_PROGRAMS, clock, take })
      : followFile({ path: source, clock, take })
  }
}

const NOT_LOOKED_FOR = { source: '', problem: 'not looked for yet' }
