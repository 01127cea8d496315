/** What a page of counts is, whether its period is of the calendar or rolling. */

import type { Name } from '../memory/name.ts'
import type { Members } from './shared-names.ts'

/** Receives what is in a bucket from now on. */
export type TellBucket = (bucket: number, used: number) => void

/** A page as it is in the file; names are in the order of the sums. */
export interface PackedCounts {
  readonly sums: Buffer
  readonly names: Buffer
}

/** `current`: the bucket of this moment. */
export interface CountPage {
  /** True if it has something that is not in the file. */
  readonly isDirty: boolean
  /** The folding before which it was last used. */
  usedAt: number
  readonly members: Members
  /** Memory that it takes, without the names. */
  readonly byteLength: number
  /** What an account has used; 0 for an unknown one. */
  used(account: Name, current: number): number
  /** What it has used in one bucket. */
  usedIn(account: Name, bucket: number): number
  /**
   * Adds to a bucket if what is used then is within `limit`: what is used then, or else undefined. Tells
   * of each bucket that has changed, which may be another one, and may happen in both cases.
   */
  addWithin(
    account: Name,
    bucket: number,
    count: number,
    limit: number,
    current: number,
    tell: TellBucket,
  ): number | undefined
  /**
   * The bucket that is the current one when `count` is within `limit` if nothing else is added: this one,
   * or a later one; undefined if none is.
   */
  fitsFrom(account: Name, count: number, limit: number, current: number): number | undefined
  /**
   * Sets what is in the bucket, whatever it was. `current`: if it was told of by `addWithin` at that
   * moment, and in the order it was told.
   */
  set(account: Name, bucket: number, used: number, current?: number): void
  sums(): Iterable<readonly [account: string, bucket: number, used: number]>
  /** Without the names if those in the file are still valid. Valid until this page changes or another one is packed. */
  pack(): { readonly sums: Buffer; readonly names: Buffer | undefined }
  /** What was packed last has been written. */
  noteWritten(): void
}

/** The bytes themselves if they begin at a multiple of `bytes`, or else a copy that does. */
export function aligned(packed: Buffer, bytes: number): Uint8Array {
  const { buffer, byteOffset, length } = packed
  const isAligned = byteOffset % bytes === 0
  return isAligned ? new Uint8Array(buffer, byteOffset, length) : new Uint8Array(packed)
}
