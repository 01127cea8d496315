/**
 * Whole numbers by their place, 32 bits each outside of V8's heap.
 *
 * They are in blocks, so nothing is copied while it grows, and what is far apart takes no memory in between.
 * The few numbers that need more than 32 bits are kept in a Map.
 */

const BLOCK_BITS = 13
const BLOCK_CELLS = 1 << BLOCK_BITS
/** What a cell has whose number is in the Map. */
export const LARGE = 0xffffffff
/** Bytes of an entry in a Map, about. */
const ENTRY_BYTES = 40

/** Where a place is in its block. */
export function placeInBlock(place: number): number {
  return place & (BLOCK_CELLS - 1)
}

export class Cells {
  readonly #blocks: (Uint32Array | undefined)[] = []
  readonly #large = new Map<number, number>()
  #byteLength = 0

  get byteLength(): number {
    return this.#byteLength + this.#large.size * ENTRY_BYTES
  }

  /** 0 if nothing was set there. `place`: 0 to 2 ** 32 - 1. */
  get(place: number): number {
    const block = this.#blocks[place >>> BLOCK_BITS]
    if (block === undefined) return 0
    const cell = block[place & (BLOCK_CELLS - 1)] ?? 0
    return cell === LARGE ? (this.#large.get(place) ?? 0) : cell
  }

  /**
   * The block that a place is in, to look at several neighbours at once; undefined if nothing was set there.
   * Cells with LARGE in them are for `get` and `set` only, and LARGE must not be written.
   */
  blockOf(place: number): Uint32Array | undefined {
    return this.#blocks[place >>> BLOCK_BITS]
  }

  set(place: number, value: number): void {
    const block = this.#blocks[place >>> BLOCK_BITS] ?? this.#newBlock(place >>> BLOCK_BITS)
    const at = place & (BLOCK_CELLS - 1)
    if (block[at] === LARGE) this.#large.delete(place)
    if (value >>> 0 === value && value !== LARGE) block[at] = value
    else {
      block[at] = LARGE
      this.#large.set(place, value)
    }
  }

  /** Everything is 0 again, and takes no memory. */
  clear(): void {
    this.#blocks.length = 0
    this.#large.clear()
    this.#byteLength = 0
  }

  #newBlock(number: number): Uint32Array {
    while (this.#blocks.length < number) this.#blocks.push(undefined)
    const block = new Uint32Array(BLOCK_CELLS)
    this.#blocks[number] = block
    this.#byteLength += block.byteLength
    return block
  }
}
