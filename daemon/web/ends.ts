/** Who wants to know that something has ended before its time: a session, a token. */

export class Ends {
  readonly #waiting = new Map<string, Set<() => void>>()

  /** `ended` is called once; what it returns takes that back. */
  on(key: string, ended: () => void): () => void {
    const all = this.#waiting.get(key) ?? new Set()
    all.add(ended)
    this.#waiting.set(key, all)
    return () => {
      all.delete(ended)
      if (all.size === 0 && this.#waiting.get(key) === all) this.#waiting.delete(key)
    }
  }

  tell(key: string): void {
    const all = [...(this.#waiting.get(key) ?? [])]
    this.#waiting.delete(key)
    for (const ended of all) ended()
  }
}
