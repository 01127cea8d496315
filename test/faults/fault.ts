/** What a fault is: something that happens to a daemon under load, and what may come of it. */

import type { Finished, InstalledDaemon } from '../support/daemon.ts'

export interface Fault {
  /** As an operator would call it: `kill -9`. */
  readonly name: string
  /** Milliseconds a request may wait longer than the median before the fault. */
  readonly mostDelay: number
  /** Counts may be lost, and why. Everywhere else none may. */
  readonly mayLose?: string
  /** Milliseconds of load before, during at least, and after the fault; less in the short form. */
  readonly variables?: Readonly<Record<string, string>>
  /** Before the daemon starts. */
  prepare?(scene: Scene): void | Promise<void>
  /** While mail flows. What it changes it changes back, or `after` does. */
  strike(scene: Scene): void | Promise<void>
  /** After the load: what should be true and is not, in words. The daemon still runs. */
  after?(scene: Scene): string | undefined | Promise<string | undefined>
}

export interface Scene {
  /** The daemon's `--root`. */
  readonly root: string
  readonly ledger: string
  readonly port: number
  /** The short form in `make test`: seconds become tenths where that is possible. */
  readonly isShort: boolean
  readonly pid: number
  /** kill -9, and started again as soon as it has ended, as systemd does. */
  killAndStart(): Promise<void>
  /** SIGTERM, and started again. */
  restart(): Promise<void>
  ctl(...argv: string[]): Promise<Finished>
  log(): string
  logged(pattern: RegExp): Promise<boolean>
  /** Undone at the end, last first, whatever happens. */
  later(undo: () => void | Promise<void>): void
}

export type { InstalledDaemon }
