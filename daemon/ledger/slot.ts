/**
 * The ledger as the daemon has it, before and after the state directory is open.
 *
 * A configuration is checked and loaded without opening anything; the ledger is opened when a
 * configuration that uses it comes into effect, and stays open over reloads. If the file cannot be used,
 * the daemon runs all the same: footing.ts has the places to count instead, `problem` describes the one in use,
 * and `recover` goes back. What is known of messages stays in memory throughout.
 */

import { setImmediate } from 'node:timers/promises'
import type { Judgement, Ledger, LedgerEvent } from '../policy/ports/ledger.ts'
import { describeError, LookupError } from '../system/errors.ts'
import { backupOf } from './backup.ts'
import { LedgerFiles } from './disk.ts'
import { describe, type Footing } from './footing.ts'
import { LocalLedger } from './ledger.ts'
import { openFooting } from './opening.ts'
import { leaveInterim, needsRewrite, recover } from './recovery.ts'
import { type Durability, isDamaged, type StoreFigures } from './sqlite-ledger.ts'
import type { LedgerTally } from './tally.ts'

export interface LedgerFigures extends StoreFigures {
  readonly openMessages: number
  readonly tally: LedgerTally
}

/** `copyFolder`: see `LedgerFiles`. */
export function ledgerSlot(copyFolder?: string): LedgerSlot {
  return new LedgerSlot(copyFolder)
}

export class LedgerSlot {
  readonly #copyFolder: string | undefined
  #files: LedgerFiles | undefined
  #footing: Footing = { kind: 'closed' }
  #ledger: LocalLedger | undefined
  /** Throws LookupError as long as it is not open. */
  readonly ledger: Ledger

  constructor(copyFolder: string | undefined) {
    this.#copyFolder = copyFolder
    this.ledger = {
      judge: event => this.#judge(event),
      preview: event => this.#guard(ledger => ledger.preview(event)),
      fitsAt: (event, claim) => this.#guard(ledger => ledger.fitsAt(event, claim)),
      giveBack: (message, at) => this.#guard(ledger => ledger.giveBack(message, at)),
      takeBack: (message, now) =>
        this.#ledger && this.#guard(ledger => ledger.takeBack(message, now)),
      settle: () => this.#settle(),
      disconnect: connection => this.#disconnect(connection),
      expire: now => this.#ledger && this.#guard(ledger => ledger.expire(now)),
      used: (counter, subject, window, now) =>
        this.#guard(ledger => ledger.used(counter, subject, window, now)),
      reset: (counter, subject, window, now) =>
        this.#guard(ledger => ledger.reset(counter, subject, window, now)),
      recipientOnlyServices: () => this.#ledger?.recipientOnlyServices() ?? [],
    }
  }

  get isOpen(): boolean {
    return this.#footing.kind !== 'closed'
  }

  /** What keeps the counts from being durable, or what happened to them; undefined if nothing is wrong. */
  get problem(): string | undefined {
    return describe(this.#footing)
  }

  /** For monitoring; undefined: it is not open. */
  figures(): LedgerFigures | undefined {
    const footing = this.#footing
    const ledger = this.#ledger
    if (footing.kind === 'closed' || !ledger) return undefined
    const { openMessages, tally } = ledger
    return { ...footing.store.figures(), openMessages, tally }
  }

  /** Where it counts now. */
  get footing(): Footing['kind'] {
    return this.#footing.kind
  }

  /** False as soon as counts are only in memory, or nowhere. */
  get isDurable(): boolean {
    const footing = this.#footing
    return footing.kind !== 'closed' && footing.kind !== 'memory' && footing.unsettled === undefined
  }

  /** True if `fold` should not wait for its time. */
  get shouldFoldNow(): boolean {
    return this.#footing.kind !== 'closed' && this.#footing.store.shouldFoldNow
  }

  /** Does nothing if it is open. Throws ForeignLedger. */
  open(path: string, durability: Durability, now: number): void {
    if (this.#footing.kind !== 'closed') return
    const files = new LedgerFiles(path, durability, this.#copyFolder)
    let ledger: LocalLedger | undefined
    const footing = openFooting(files, now, store => {
      ledger = new LocalLedger(store)
    })
    this.#files = files
    this.#ledger = ledger
    this.#footing = footing
    if (footing.kind !== 'copy' || !footing.isInherited) return
    // No answer is waiting yet, so all of it at once.
    const steps = this.#moveTo(leaveInterim(footing, files, now))
    for (const _ of steps ?? []);
  }

  /** For everything counted from now on, also in a file that is opened later in place of this one. */
  setDurability(durability: Durability): void {
    this.#files?.setDurability(durability)
    if (this.#footing.kind !== 'closed') this.#footing.store.setDurability(durability)
  }

  /**
   * Replaces a file that was found damaged, writes one that was deleted again, or goes from a copy or
   * memory back to the file. True if it did anything. Rejects with LookupError.
   */
  async recover(now: number): Promise<boolean> {
    const files = this.#files
    if (!files) return false
    const before = this.#footing
    if (before.kind === 'file' && needsRewrite(before)) await files.rewrite(before.store)
    // At once: nothing may be counted in a store that is closed.
    const steps = this.#moveTo(recover(this.#footing, files, now))
    if (!steps) return false
    for (const _ of steps) await setImmediate()
    return true
  }

  /** Copies the file beside it. Rejects with LookupError. */
  async backUp(): Promise<void> {
    const footing = this.#footing
    if (!this.#files || footing.kind !== 'file' || footing.health !== 'sound') return
    await footing.store.backUp(backupOf(this.#files.path))
  }

  /** Writes some of the changes to the file; true if there is more to do. Throws LookupError. */
  fold(): boolean {
    return this.#keepHouse(store => store.fold())
  }

  /** Deletes some of the periods that were not written since `day`; true if there is more to do. Throws LookupError. */
  forgetBefore(day: string): boolean {
    return this.#keepHouse(store => store.forgetBefore(day))
  }

  close(): void {
    const footing = this.#footing
    this.#footing = { kind: 'closed' }
    this.#ledger = undefined
    if (footing.kind !== 'closed') footing.store.close()
  }

  /** Every request: without a closure. */
  #judge(event: LedgerEvent): Judgement {
    const ledger = this.#ledger
    if (!ledger) throw notOpen()
    try {
      return ledger.judge(event)
    } catch (error) {
      this.#noteDamage(error)
      throw error
    }
  }

  /** Every turn of the event loop. */
  #settle(): void {
    const footing = this.#footing
    if (footing.kind === 'closed') return
    try {
      this.#ledger?.settle()
    } catch (error) {
      this.#footing = { ...footing, unsettled: describeError(error) }
      this.#noteDamage(error)
      throw error
    }
    if (footing.unsettled !== undefined) this.#footing = { ...footing, unsettled: undefined }
  }

  #disconnect(connection: number): void {
    try {
      this.#ledger?.disconnect(connection)
    } catch (error) {
      // There is nobody to tell; `recover` repairs and reports it.
      this.#noteDamage(error)
    }
  }

  #guard<T>(work: (ledger: LocalLedger) => T): T {
    if (!this.#ledger) throw notOpen()
    try {
      return work(this.#ledger)
    } catch (error) {
      this.#noteDamage(error)
      throw error
    }
  }

  #keepHouse(work: (store: Extract<Footing, { store: unknown }>['store']) => boolean): boolean {
    if (this.#footing.kind === 'closed') return false
    try {
      return work(this.#footing.store)
    } catch (error) {
      this.#noteDamage(error)
      throw error
    }
  }

  #noteDamage(error: unknown): void {
    const footing = this.#footing
    if (footing.kind === 'closed' || footing.kind === 'memory' || !isDamaged(error)) return
    this.#footing = { ...footing, health: 'damaged' }
  }

  /** Takes the next footing. If its store is another one: the steps that pass on what is known of messages. */
  #moveTo(next: Footing): Iterable<void> | undefined {
    const before = this.#footing
    this.#footing = next
    if (before.kind === 'closed' || next.kind === 'closed') return undefined
    if (before.store === next.store || !this.#ledger) return undefined
    this.#ledger.moveTo(next.store)
    return untilFailure(this.#ledger.replay())
  }
}

/** What cannot be written stays in memory; the next answer that needs it reports the failure. */
function* untilFailure(steps: Iterable<void>): Iterable<void> {
  try {
    yield* steps
  } catch {
    // As said.
  }
}

function notOpen(): LookupError {
  return new LookupError('the ledger is not open')
}
