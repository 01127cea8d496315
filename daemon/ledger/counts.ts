/** What a window's counts are, whether it is of the calendar or rolling. */

import type { Name } from '../memory/name.ts'
import type { Change } from './change.ts'

/** Receives what is in a bucket from now on. */
export type TellBucket = (bucket: number, used: number) => void

/** A page as it is in the file; names are in the order of the sums. */
export interface PackedCounts {
  readonly sums: Buffer
  readonly names: Buffer
}

/** `current`: the bucket of this moment. `subject`: its number in Subjects. */
export interface Counts {
  /** Memory that is in use. */
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
   * Makes a change of the current bucket, which grows, if its limit allows it, the subject is known, and
   * nothing was counted later. False, with nothing changed, if that is not so.
   */
  count(subject: number, change: Change, current: number): boolean
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
  /** Is anything known of this subject? */
  has(subject: number): boolean
  /** What is in each of its buckets, oldest first. */
  sumsOf(subject: number): Iterable<readonly [bucket: number, used: number]>
  /** Drops what does not count any more; the subjects that can be dropped as a whole. */
  forgotten(subjects: readonly number[]): readonly number[]
  drop(subject: number): void
  /** The subject has another number now. */
  move(from: number, to: number): void
  /** In the file's form. Valid until others are packed. */
  packed(subjects: readonly number[]): Buffer
  /** Takes over what was packed, for as many subjects as it has. Throws RangeError for anything else. */
  unpack(subjects: readonly number[], sums: Buffer): void
  /** Nothing is known any more, and no memory taken. */
  clear(): void
}

/** The bytes themselves if they begin at a multiple of `bytes`, or else a copy that does. */
export function aligned(packed: Buffer, bytes: number): Uint8Array {
  const { buffer, byteOffset, length } = packed
  const isAligned = byteOffset % bytes === 0
  return isAligned ? new Uint8Array(buffer, byteOffset, length) : new Uint8Array(packed)
}
