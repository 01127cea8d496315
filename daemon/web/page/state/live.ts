/** What the server sends by itself: the daemon's status, and verdicts as they are given. */

import { createContext } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { Status, StatusEvent, VerdictEvent } from '../../api.ts'

/** Verdicts that are kept to be shown. */
const MOST_VERDICTS = 60
/** Verdicts of one turn are shown together: the page is drawn twice a second at most. */
const TOGETHER_MILLISECONDS = 500
/** A browser comes back by itself when a connection breaks off, but not after an answer such as a proxy's 502. */
const AGAIN_MILLISECONDS = 5000

export interface ShownVerdict extends VerdictEvent {
  readonly key: number
}

export interface Live {
  /** waiting: not known yet; lost: no connection to the server. */
  readonly state: 'waiting' | 'running' | 'stopped' | 'lost'
  readonly status: Status | undefined
  /** The latest first. */
  readonly verdicts: readonly ShownVerdict[]
}

export const NOT_LIVE: Live = { state: 'waiting', status: undefined, verdicts: [] }
export const LiveContext = createContext<Live>(NOT_LIVE)

export function useLiveEvents(isWanted: boolean): Live {
  const [live, setLive] = useState<Live>(NOT_LIVE)
  useEffect(() => {
    if (!isWanted) return undefined
    let source: EventSource | undefined
    let again: ReturnType<typeof setTimeout> | undefined
    let waiting: ShownVerdict[] = []
    let count = 0
    const open = () => {
      const opened = new EventSource('api/events')
      source = opened
      source.addEventListener('status', event => {
        const { status } = JSON.parse(event.data) as StatusEvent // of our server, see call.ts
        setLive(old => ({
          ...old,
          state: status ? 'running' : 'stopped',
          status: status ?? undefined,
        }))
      })
      source.addEventListener('verdict', event => {
        count++
        waiting = [{ ...(JSON.parse(event.data) as VerdictEvent), key: count }, ...waiting]
        waiting = waiting.slice(0, MOST_VERDICTS)
      })
      source.addEventListener('error', () => {
        setLive(old => ({ ...old, state: 'lost' }))
        if (opened.readyState === EventSource.CLOSED) again = setTimeout(follow, AGAIN_MILLISECONDS)
      })
    }
    // A browser has six connections to a server: tabs that nobody looks at must not hold them.
    const follow = () => {
      clearTimeout(again)
      source?.close()
      source = undefined
      if (!document.hidden) open()
    }
    follow()
    document.addEventListener('visibilitychange', follow)
    const timer = setInterval(() => {
      if (waiting.length === 0) return
      const come = waiting
      waiting = []
      setLive(old => ({ ...old, verdicts: [...come, ...old.verdicts].slice(0, MOST_VERDICTS) }))
    }, TOGETHER_MILLISECONDS)
    return () => {
      clearInterval(timer)
      clearTimeout(again)
      document.removeEventListener('visibilitychange', follow)
      source?.close()
    }
  }, [isWanted])
  return live
}
