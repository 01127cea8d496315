/** A small list in a JSON file of the state folder: `{"version": 1, "items": […]}`. */

import { readFileSync, renameSync, rmSync } from 'node:fs'
import { describeError } from '../system/errors.ts'
import { replaceFile } from '../system/replace-file.ts'

const VERSION = 1
const OWNER_ONLY = 0o600

export interface KeptFileOptions<T> {
  readonly path: string
  /** Undefined: that is none. */
  readonly parse: (item: unknown) => T | undefined
  /** More are not read. */
  readonly most: number
  /** Sessions may be lost in a power failure; tokens may not. */
  readonly sync: 'nothing' | 'file and folder'
  readonly log: (line: string) => void
}

export class KeptFile<T> {
  readonly #options: KeptFileOptions<T>

  constructor(options: KeptFileOptions<T>) {
    this.#options = options
  }

  /** Nothing if there is no file. One that cannot be understood is set aside. */
  read(): T[] {
    const { path, parse, most, log } = this.#options
    let text: string
    try {
      text = readFileSync(path, 'utf8')
    } catch (error) {
      const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
      if (!isMissing) log(`cannot read ${path}: ${describeError(error)}`)
      return []
    }
    const items = itemsOf(text)
    if (items === undefined) {
      this.#setAside()
      return []
    }
    return items.slice(0, most).flatMap(item => parse(item) ?? [])
  }

  /** Throws if it cannot be written. */
  write(items: readonly T[]): void {
    const { path, sync } = this.#options
    replaceFile(path, `${JSON.stringify({ version: VERSION, items }, undefined, 1)}\n`, {
      mode: OWNER_ONLY,
      sync,
      temporary: `${path}.new`,
      mountPoint: 'fail',
    })
  }

  /** Works on a disk that is full, too. */
  remove(): void {
    const { path, log } = this.#options
    try {
      rmSync(path, { force: true })
    } catch (error) {
      log(`cannot remove ${path}: ${describeError(error)}`)
    }
  }

  #setAside(): void {
    const { path, log } = this.#options
    const aside = `${path}.damaged`
    try {
      renameSync(path, aside)
      log(`${path} is damaged, or of another version: it is kept as ${aside}, and begun again`)
    } catch (error) {
      log(`${path} is damaged, and cannot be renamed: ${describeError(error)}`)
    }
  }
}

function itemsOf(text: string): readonly unknown[] | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  if (!('version' in value) || value.version !== VERSION || !('items' in value)) return undefined
  return Array.isArray(value.items) ? value.items : undefined
}
