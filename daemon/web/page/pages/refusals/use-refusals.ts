/** Refusals page by page, as far as one has scrolled. */

import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import type { RefusalLine, Refusals } from '../../../api.ts'
import { type CallError, get } from '../../state/call.ts'
import type { Filter } from './filter-form.tsx'

const PAGE = 200
/** What is kept of them at once: who needs more narrows the search. */
const MOST_LINES = 50_000
/** Pages without a match, looked through one after the other without being told to. */
const MOST_EMPTY = 20

export interface Found {
  readonly lines: readonly RefusalLine[]
  readonly hasMore: boolean
  readonly isLoading: boolean
  readonly error: string
  readonly days: number
  readonly more: () => void
}

const BEGINNING = {
  lines: [] as readonly RefusalLine[],
  next: undefined as string | undefined,
  isLoading: true,
  error: '',
  days: 0,
}

export function useRefusals(filter: Filter): Found {
  const [state, setState] = useState(BEGINNING)
  const leaving = useRef(new AbortController())
  const isBusy = useRef(false)

  const load = useCallback(
    async (before: string | undefined, isFirst: boolean) => {
      if (isBusy.current && !isFirst) return
      const { signal } = leaving.current
      isBusy.current = true
      setState(old => ({ ...old, isLoading: true, error: '' }))
      try {
        let next = before
        let page: Refusals
        let empty = 0
        do {
          page = await get<Refusals>('refusals', queryOf(filter, next), signal)
          next = page.next
          empty++
        } while (page.refusals.length === 0 && next !== undefined && empty < MOST_EMPTY)
        const { refusals, days } = page
        setState(old => ({
          lines: isFirst ? refusals : [...old.lines, ...refusals],
          next,
          isLoading: false,
          error: '',
          days,
        }))
      } catch (error) {
        if (signal.aborted) return
        const { message } = error as CallError // get() rejects with no other, unless it was aborted
        setState(old => ({ ...old, isLoading: false, error: message }))
      }
      isBusy.current = false
    },
    [filter],
  )

  useEffect(() => {
    leaving.current = new AbortController()
    const { current } = leaving
    load(undefined, true)
    return () => current.abort()
  }, [load])

  const hasMore = state.next !== undefined && state.lines.length < MOST_LINES
  const more = () => {
    if (hasMore || state.error !== '') load(state.next, state.lines.length === 0)
  }
  return { ...state, hasMore, more }
}

function queryOf(filter: Filter, before: string | undefined) {
  const { hours, code, country, ...rest } = filter
  const since = hours === '' ? undefined : Date.now() - Number(hours) * 3_600_000
  return {
    ...rest,
    code: code.trim().toUpperCase(),
    country: country.trim().toUpperCase(),
    since,
    before,
    most: PAGE,
  }
}
