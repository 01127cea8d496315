/**
 * Calls of the HTTP API. Addresses are relative to the page, so that it works below any path prefix. The
 * answers come from the server that sent this page, at the same version, so their shapes are not checked again.
 */

import type { Failure } from '../../api.ts'

/** No answer comes later than this, but of a trial, which reads weeks of mail. */
const PATIENCE_MILLISECONDS = 30_000
const LONG_PATIENCE_MILLISECONDS = 600_000

/** Told to the window when an answer says that nobody is logged in. */
export const SESSION_ENDED = 'sessionended'

export class CallError extends Error {
  /** Of HTTP; 0: there was no answer. */
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

type Query = Readonly<Record<string, string | number | undefined>>

export function get<Answer>(path: string, query: Query = {}, signal?: AbortSignal) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== '')
  const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)]))
  const address = given.length === 0 ? path : `${path}?${search}`
  return call<Answer>(address, { method: 'GET' }, PATIENCE_MILLISECONDS, signal)
}

export function post<Answer>(path: string, body: object, signal?: AbortSignal) {
  const patience = path === 'tryout' ? LONG_PATIENCE_MILLISECONDS : PATIENCE_MILLISECONDS
  const headers = { 'Content-Type': 'application/json', 'X-Requested-With': 'mtpolicyd' }
  const init = { method: 'POST', headers, body: JSON.stringify(body) }
  return call<Answer>(path, init, patience, signal)
}

async function call<Answer>(
  path: string,
  init: RequestInit,
  patience: number,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  const ends = [AbortSignal.timeout(patience), ...(signal ? [signal] : [])]
  let answer: Response
  try {
    answer = await fetch(`api/${path}`, {
      ...init,
      credentials: 'same-origin',
      cache: 'no-store',
      signal: AbortSignal.any(ends),
    })
  } catch (error) {
    throw signal?.aborted ? error : new CallError(0, String(error))
  }
  if (answer.status === 401) dispatchEvent(new Event(SESSION_ENDED))
  if (!answer.ok) throw new CallError(answer.status, await errorOf(answer))
  if (answer.status === 204) return {} as Answer // an answer without a body is of a type without members
  return (await answer.json()) as Answer // see the top
}

async function errorOf(answer: Response): Promise<string> {
  try {
    const failure = (await answer.json()) as Partial<Failure> | null // whatever it is, `error` is looked at
    if (typeof failure?.error === 'string') return failure.error
  } catch {
    // A proxy's page, for instance.
  }
  return `HTTP ${answer.status}`
}
