/**
 * A configuration on trial: requests of the past are answered as the daemon would have answered them, and
 * counted in a ledger of its own, in memory, which begins empty. Nothing outside notices.
 */

import { type Assembly, assemble } from '../assembly/assemble.ts'
import { silentLog } from '../assembly/configuration.ts'
import type { Paths } from '../assembly/paths.ts'
import { openLedger } from '../ledger/ledger.ts'
import { openSqliteLedger, type SqliteLedger } from '../ledger/sqlite-ledger.ts'
import { countryPool } from '../lookup/country-pool.ts'
import { endpointKey } from '../net/endpoint.ts'
import type { Answer } from '../policy/answer.ts'
import { calendar } from '../policy/calendar.ts'
import type { Judged } from '../policy/judged.ts'
import type { Resolver } from '../policy/ports/dns.ts'
import type { Ledger } from '../policy/ports/ledger.ts'
import { formatProblem, type Problem } from '../policy/problem.ts'
import { PolicyRequest } from '../policy/request.ts'
import { makeEngine } from '../run/engine.ts'
import type { MaybePromise } from '../system/maybe-promise.ts'
import { whenReady } from '../system/maybe-promise.ts'
import type { Recorded } from './record.ts'
import type { ReplayClock } from './replay-clock.ts'

/** As the daemon's housekeeping does it. */
const EXPIRE_MILLISECONDS = 60_000
const KEPT_DAYS = 92
const DAY = 86_400_000

/** What a request of the past is answered. */
export interface TrialAnswer {
  /** What Postfix would be told; `close`: nothing, the connection is closed. */
  readonly action: string
  /** The plugin that decided; empty if none did. */
  readonly by: string
  /** Under which the daemon would show the decision; empty: it has none. */
  readonly code: string
  /** In observe mode: what would be refused otherwise. */
  readonly objection: { readonly action: string; readonly by: string } | undefined
}

export interface TrialOptions {
  readonly file: string
  /** Instead of the file's own. */
  readonly text: string | undefined
  readonly paths: Paths
  readonly clock: ReplayClock
}

/** A plugin that could not do its work: `skipped` because it needs somebody else, `failed` by itself. */
export interface Idle {
  readonly plugin: string
  readonly kind: 'skipped' | 'failed'
  readonly why: string
  readonly times: number
}

/** The configuration cannot be used. */
export class UntriableConfiguration extends Error {
  override readonly name = 'UntriableConfiguration'
  readonly problems: readonly Problem[]
  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join('\n'))
    this.problems = problems
  }
}

/** Rejects with UntriableConfiguration. */
export async function openTrial({ file, text, paths, clock }: TrialOptions): Promise<Trial> {
  const store = openSqliteLedger(':memory:', 'normal')
  const skipped = new Map<string, Idle>()
  const assembly = await assemble({
    file,
    text,
    paths,
    clock,
    ledger: openLedger(store),
    dns: NO_DNS,
    countries: countryPool(() => undefined),
    log: () => silentLog,
    skipped(plugin, why) {
      const times = (skipped.get(plugin)?.times ?? 0) + 1
      skipped.set(plugin, { plugin, kind: 'skipped', why, times })
    },
  })
  if (assembly.isUsable) {
    const trial = new Trial(assembly, store, skipped, clock)
    await trial.startPlugins()
    return trial
  }
  assembly.close()
  store.close()
  throw new UntriableConfiguration(assembly.problems)
}

/** Never reached: `scratch-outside` has one of its own. */
const NO_DNS: Resolver = {
  ask: () => ({ outcome: 'failed', records: [], problem: 'there is no DNS' }),
  noListing: () => undefined,
}

export class Trial {
  readonly #assembly: Assembly
  readonly #store: SqliteLedger
  readonly #ledger: Ledger | undefined
  readonly #skipped: ReadonlyMap<string, Idle>
  readonly #clock: ReplayClock
  readonly #answer: Answer
  readonly #endpoint: string
  readonly #dayOf: ReturnType<typeof calendar>
  #expireAt = EXPIRE_MILLISECONDS
  #forgetAt = 0

  /** To be called by `openTrial` only. */
  constructor(
    assembly: Assembly,
    store: SqliteLedger,
    skipped: ReadonlyMap<string, Idle>,
    clock: ReplayClock,
  ) {
    const { loaded, endpoints } = assembly
    this.#assembly = assembly
    this.#store = store
    this.#ledger = loaded.ledger
    this.#skipped = skipped
    this.#clock = clock
    this.#answer = makeEngine({ loaded, clock, log: silentLog, sinks: [] })
    const [first] = endpoints
    this.#endpoint = first ? endpointKey(first) : ''
    this.#dayOf = calendar(loaded.globals.timezone || undefined)
  }

  /** What is wrong with the configuration, though it can be used. */
  get problems(): readonly Problem[] {
    return this.#assembly.problems
  }

  /** An IANA name; undefined is the host's. */
  get timezone(): string | undefined {
    return this.#assembly.loaded.globals.timezone || undefined
  }

  /** Tables in memory are made. A plugin that fails here fails with each request as well. */
  async startPlugins(): Promise<void> {
    for (const { run } of this.#assembly.loaded.starts) {
      try {
        await run()
      } catch {}
    }
  }

  /** The clock has been moved to the record's time. `connection`: unique in this trial. Never throws or rejects. */
  answer({ attributes }: Recorded, connection: number): MaybePromise<TrialAnswer> {
    this.#keepHouse()
    const request = new PolicyRequest(attributes, { id: connection, endpoint: this.#endpoint })
    return whenReady(this.#answer(request), answerOf)
  }

  /** The connection is closed: its unfinished message is over. */
  disconnect(connection: number): void {
    void this.#ledger?.disconnect(connection)
  }

  /** To be called now and then. */
  settle(): void {
    void this.#ledger?.settle()
  }

  /** Plugins that did not do their work, each once. */
  get idle(): readonly Idle[] {
    const failed = this.#assembly.loaded.links.flatMap(({ link: { name, tally } }): Idle[] =>
      tally.failures === 0
        ? []
        : [{ plugin: name, kind: 'failed', why: tally.lastFailure, times: tally.failures }],
    )
    return [...this.#skipped.values(), ...failed]
  }

  close(): void {
    this.#assembly.close()
    this.#store.close()
  }

  #keepHouse(): void {
    const elapsed = this.#clock.elapsed()
    if (elapsed < this.#expireAt) return
    this.#expireAt = elapsed - (elapsed % EXPIRE_MILLISECONDS) + EXPIRE_MILLISECONDS
    void this.#ledger?.expire(this.#clock.now())
    if (elapsed < this.#forgetAt) return
    this.#forgetAt = elapsed + DAY
    const oldest = this.#dayOf(this.#clock.now() - KEPT_DAYS * DAY).name
    while (this.#store.forgetBefore(oldest));
  }
}

function answerOf({ verdict, hearing }: Judged): TrialAnswer {
  const { silent, action, by } = verdict
  return { action: silent ? 'close' : action, by, code: '', objection: hearing.objections[0] }
}
