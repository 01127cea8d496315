/** What a fault is: something that happens to a daemon under load, and what may come of it. */

import type { Finished } from '../support/daemon.ts'

export interface Fault {
  /** As an operator would call it: `kill -9`. */
  readonly name: string
  /** Milliseconds a request may wait longer than half of them did before the fault. */
  readonly mostDelay: number
  /** Counts may be lost, and why. Everywhere else none may. */
  readonly mayLose?: string
  /** Requests may stay unanswered in both tries of Postfix, and why. */
  readonly maySilence?: string
  /** Host variables besides port and threshold. */
  readonly variables?: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string>>
  /** Why it cannot happen here, or undefined. */
  missing?(): string | undefined
  /** Before the daemon starts. */
  prepare?(scene: Scene): void | Promise<void>
  /** Instead of the default policy; `port` must be in it. */
  config?(scene: Scene): string
  /** While mail flows. */
  strike(scene: Scene): void | Promise<void>
  /** Still under load: what should be true and is not, in words. */
  after?(scene: Scene): string | undefined | Promise<string | undefined>
}

export interface Scene {
  /** The daemon's `--root`. */
  readonly root: string
  /** Its state directory, there from the beginning. */
  readonly state: string
  readonly ledger: string
  readonly port: number
  /** The short form in `make test`: what takes long is cut. */
  readonly isShort: boolean
  readonly pid: number
  /** Signals the daemon and waits until the one that is started after its end is ready. */
  endAndAwaitNext(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>
  /** Waits until so many daemons have been ready, the first included. */
  untilReady(times: number): Promise<void>
  /** What the daemon says is not read meanwhile. */
  deafen(isDeaf: boolean): void
  ctl(...argv: string[]): Promise<Finished>
  /** The daemon's part of `mtpolicyctl status --json`, as text. */
  status(): Promise<string>
  logged(pattern: RegExp): Promise<boolean>
  /** Environment of the daemon, to be completed before it starts. */
  readonly env: Record<string, string>
  /** Done at the end, last first, whatever happens. */
  later(undo: () => void | Promise<void>): void
}
