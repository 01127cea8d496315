/**
 * Follows a log file: over rotation by renaming, by copying and truncating, over deletion and links, and
 * until it appears or becomes readable.
 *
 * The kernel tells when the folder changes; it is looked at twice a second as well, because not every file
 * system tells, and a link leads elsewhere. After a rotation the old file is read on for a while: the log
 * daemon writes to it until it is told to open the new one.
 */

import { type FSWatcher, watch } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import type { Cancel, Clock } from '../system/clock.ts'
import { describeError } from '../system/errors.ts'
import type { Following, TakeLines } from './following.ts'
import { Tail } from './tail.ts'

const LOOK_MILLISECONDS = 500
/** Lines that come one after the other are read together. */
const GATHER_MILLISECONDS = 50
/** How long a file that was rotated away is read on. */
const LEAVE_MILLISECONDS = 60_000
/** Files that were rotated away, when that happens again and again. */
const MOST_LEFT = 4

export interface FollowFileOptions {
  readonly path: string
  readonly clock: Clock
  readonly take: TakeLines
}

export function followFile(options: FollowFileOptions): Following {
  const follower = new FileFollower(options)
  follower.start()
  return follower
}

class FileFollower implements Following {
  readonly source: string
  readonly #clock: Clock
  readonly #take: TakeLines
  #problem: string | undefined = 'not opened yet'
  #current: Tail | undefined
  #left: { readonly tail: Tail; readonly until: number }[] = []
  #watcher: FSWatcher | undefined
  #cancel: Cancel | undefined
  /** When the step that is planned is due, by the elapsed time. */
  #due = Number.POSITIVE_INFINITY
  #step: Promise<void> | undefined
  #isStopped = false

  constructor({ path, clock, take }: FollowFileOptions) {
    this.source = path
    this.#clock = clock
    this.#take = take
  }

  get problem(): string | undefined {
    return this.#problem
  }

  start(): void {
    this.#plan(0)
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#cancel?.()
    this.#watcher?.close()
    await this.#step
    const tails = this.#left.splice(0).map(({ tail }) => tail)
    if (this.#current) tails.push(this.#current)
    this.#current = undefined
    for (const tail of tails) await tail.close()
  }

  #plan(milliseconds: number): void {
    const due = this.#clock.elapsed() + milliseconds
    if (this.#isStopped || this.#step !== undefined || due >= this.#due) return
    this.#cancel?.()
    this.#due = due
    this.#cancel = this.#clock.after(milliseconds, () => {
      this.#due = Number.POSITIVE_INFINITY
      this.#step = this.#readAll().finally(() => {
        this.#step = undefined
        this.#plan(LOOK_MILLISECONDS)
      })
    })
  }

  async #readAll(): Promise<void> {
    try {
      await this.#look()
      await this.#leave()
      for (const { tail } of this.#left) await this.#read(tail)
      if (this.#current) await this.#read(this.#current)
    } catch (error) {
      this.#problem = shortly(error)
    }
  }

  /** Opens the file that has the name now, unless it is open already. */
  async #look(): Promise<void> {
    try {
      const { dev, ino } = await stat(this.source)
      const current = this.#current
      if (current?.device !== dev || current.inode !== ino) {
        const next = await Tail.open(this.source)
        if (current) this.#left.push({ tail: current, until: this.#elapsed + LEAVE_MILLISECONDS })
        this.#current = next
      }
      this.#problem = undefined
    } catch (error) {
      // Renamed a moment ago, or deleted: the log daemon may still write to it.
      if (!this.#current || codeOf(error) !== 'ENOENT') this.#problem = shortly(error)
    }
    this.#watch()
  }

  async #read(tail: Tail): Promise<void> {
    while (!this.#isStopped) {
      const lines = await tail.read()
      if (lines === undefined) return
      if (lines.length > 0) await this.#take(lines)
    }
  }

  async #leave(): Promise<void> {
    const now = this.#elapsed
    const most = this.#left.length - MOST_LEFT
    const over = this.#left.filter(({ until }, i) => until <= now || i < most)
    this.#left = this.#left.filter(one => !over.includes(one))
    for (const { tail } of over) await tail.close()
  }

  /** Polling is enough where the kernel does not tell. */
  #watch(): void {
    if (this.#watcher !== undefined || this.#isStopped) return
    const name = basename(this.source)
    try {
      const watcher = watch(dirname(this.source), { persistent: false }, (_, changed) => {
        if (changed === null || changed === name) this.#plan(GATHER_MILLISECONDS)
      })
      watcher.on('error', () => {
        watcher.close()
        this.#watcher = undefined
      })
      this.#watcher = watcher
    } catch {
      this.#watcher = undefined
    }
  }

  get #elapsed(): number {
    return this.#clock.elapsed()
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

/** The reason alone: the path is known. */
function shortly(error: unknown): string {
  switch (codeOf(error)) {
    case 'ENOENT':
      return 'no such file'
    case 'EACCES':
    case 'EPERM':
      return 'permission denied'
    default:
      return describeError(error)
  }
}
