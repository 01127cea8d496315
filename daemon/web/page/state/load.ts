/** What a page needs from the server: loading, there, or failed; loaded again without an empty page meanwhile. */

import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import type { CallError } from './call.ts'

export interface Loaded<T> {
  /** Undefined until it has come; the old one stays while a new one is on its way. */
  readonly value: T | undefined
  readonly error: CallError | undefined
  readonly isLoading: boolean
  readonly again: () => void
}

/**
 * @param load called when `keys` change, and every `every` milliseconds while the page is in view.
 */
export function useLoaded<T>(
  load: (signal: AbortSignal) => Promise<T>,
  keys: readonly unknown[],
  every?: number,
): Loaded<T> {
  const [state, setState] = useState<Omit<Loaded<T>, 'again'>>(NOTHING)
  const [turn, setTurn] = useState(0)
  const latest = useRef(load)
  latest.current = load
  const again = useCallback(() => setTurn(number => number + 1), [])

  // The value of other keys is that of another account or another time.
  const key = JSON.stringify(keys)
  const shown = useRef(key)

  useEffect(() => {
    const leaving = new AbortController()
    const isOther = shown.current !== key
    shown.current = key
    setState(old => ({
      value: isOther ? undefined : old.value,
      error: isOther ? undefined : old.error,
      isLoading: true,
    }))
    latest.current(leaving.signal).then(
      value => setState({ value, error: undefined, isLoading: false }),
      (error: CallError) => {
        if (leaving.signal.aborted) return
        setState(old => ({ value: old.value, error, isLoading: false }))
      },
    )
    return () => leaving.abort()
  }, [key, turn])

  useEffect(() => {
    if (every === undefined) return undefined
    const timer = setInterval(() => {
      if (!document.hidden) again()
    }, every)
    return () => clearInterval(timer)
  }, [every, again])

  return { ...state, again }
}

const NOTHING = { value: undefined, error: undefined, isLoading: true }
