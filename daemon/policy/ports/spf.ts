/** SPF (RFC 7208) as policy sees it: who may send for a domain. */

/** RFC 7208, 2.6. */
export type SpfResult =
  | 'none'
  | 'neutral'
  | 'pass'
  | 'fail'
  | 'softfail'
  | 'temperror'
  | 'permerror'

export interface SpfQuestion {
  readonly scope: 'helo' | 'mfrom'
  /** Address of the client. */
  readonly address: string
  /** What is checked: the MAIL FROM address, or the HELO name. */
  readonly identity: string
  readonly helo: string
  /** Our own name, the macro %{r}. */
  readonly receiver: string
}

export interface SpfLimits {
  /** Terms that query the DNS, RFC 7208 4.6.4: 10. */
  readonly terms: number
  /** Names per mx or ptr term: 10. */
  readonly namesPerTerm: number
  /** Queries without an answer: 2. */
  readonly voids: number
}

export interface SpfVerdict {
  readonly result: SpfResult
  /** What decided, in words for a log or a reply; `DOMAIN: ...`. */
  readonly explanation: string
  /** The domain's own words on a fail (exp=), macros expanded; undefined if it has none. */
  readonly authority: string | undefined
}

/** Never rejects: a DNS that fails is the result temperror. */
export interface SpfChecker {
  /** No query is sent once the signal is aborted. */
  check(question: SpfQuestion, signal?: AbortSignal): Promise<SpfVerdict>
  /** A text with the macros of RFC 7208 7 expanded; as it stands if it is not valid macro text. */
  expand(text: string, question: SpfQuestion, signal?: AbortSignal): Promise<string>
}
