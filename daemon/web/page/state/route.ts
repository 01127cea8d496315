/** Where one is: kept after the `#`, so that the server needs no addresses but its own. */

import { useEffect, useState } from 'preact/hooks'

export interface Route {
  /** today, account, refusals … */
  readonly page: string
  /** The second segment: an account, a code; empty: none. */
  readonly name: string
  readonly query: URLSearchParams
}

export function addressOf(
  page: string,
  name = '',
  query: Readonly<Record<string, string>> = {},
): string {
  const search = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== ''))
  const path = name === '' ? page : `${page}/${encodeURIComponent(name)}`
  return search.size === 0 ? `#/${path}` : `#/${path}?${search}`
}

export function readRoute(hash: string): Route {
  const [path = '', search = ''] = hash.replace(/^#\/?/, '').split('?', 2)
  const [page = '', name = ''] = path.split('/', 2)
  return { page: page || 'today', name: decoded(name), query: new URLSearchParams(search) }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

export function useRoute(): Route {
  const [route, setRoute] = useState(() => readRoute(location.hash))
  useEffect(() => {
    const follow = () => setRoute(readRoute(location.hash))
    addEventListener('hashchange', follow)
    return () => removeEventListener('hashchange', follow)
  }, [])
  return route
}

/** Changes the address without an entry in the browser's history, and without a new page. */
export function replaceAddress(address: string): void {
  history.replaceState(null, '', address)
}
