/** Counts verdicts by the plugin that decided, the stage and what the answer came to; and how long they took. */

import type {
  Counter,
  Histogram,
  HistogramDeclaration,
  MeterDeclaration,
  Meters,
} from './ports/meters.ts'
import type { Stage } from './request.ts'
import { ACTION_KINDS, kindOfAction } from './verdict.ts'
import type { VerdictSink } from './verdict-record.ts'

const VERDICTS: MeterDeclaration = {
  name: 'verdicts',
  unit: 'requests',
  help: 'Answered requests by the plugin that decided (none: no plugin objected), the stage and the kind of action.',
}
const SECONDS: HistogramDeclaration = {
  name: 'answer_seconds',
  unit: 'seconds',
  help: 'Time from a request to its answer, durable counts included.',
  // 61 microseconds to 32 seconds.
  least: 2 ** -14,
  buckets: 20,
}

/** Plugins that are told apart. A name that a later configuration uses is one of them, too. */
const MOST_PLUGINS = 200
const OTHERS = 'other'
/** No plugin decided. */
const NOBODY = 'none'

const STAGES = ['RCPT', 'DATA', 'END-OF-MESSAGE', 'other'] as const
/** Places of `ACTION_KINDS`, by which the counters of a plugin are found. */
const KINDS = Object.fromEntries(ACTION_KINDS.map((kind, i) => [kind, i * STAGES.length]))

/** A plugin's counters, by kind and stage; made when they are first counted. */
type OfPlugin = (Counter | undefined)[]

export class VerdictMeters {
  readonly #meters: Meters
  readonly #seconds: Histogram
  readonly #plugins = new Map<string, OfPlugin>()
  /** Nearly all mail is accepted by nobody's objection. */
  readonly #nobody: OfPlugin
  #settledAt = 0

  constructor(meters: Meters) {
    this.#meters = meters
    this.#seconds = meters.histogram(SECONDS)
    this.#nobody = this.#add(NOBODY)
  }

  /** The counts of a turn are durable, or could not be made so: its answers are sent now, at `Clock.elapsed`. */
  settled(at: number): void {
    this.#settledAt = at
  }

  readonly sink: VerdictSink = record => {
    const { by } = record
    const counters = by === '' ? this.#nobody : (this.#plugins.get(by) ?? this.#add(by))
    const kind = kindOfAction(record.sent)
    const stage = stageNumber(record.request.stage)
    const place = (KINDS[kind] ?? 0) + stage
    const counter = counters[place]
    if (counter) counter.value++
    else this.#count(by, counters, place, kind, STAGES[stage] ?? 'other')
    this.#seconds.note((this.#settledAt - record.askedAt) / 1000)
  }

  #count(by: string, counters: OfPlugin, place: number, action: string, stage: string): void {
    const plugin = by === '' ? NOBODY : counters === this.#plugins.get(OTHERS) ? OTHERS : by
    const counter = this.#meters.counter(VERDICTS, { plugin, stage, action })
    counter.value++
    counters[place] = counter
  }

  #add(by: string): OfPlugin {
    const name = this.#plugins.size < MOST_PLUGINS ? by : OTHERS
    const known = this.#plugins.get(name)
    if (known) return known
    const counters: OfPlugin = Array.from({ length: ACTION_KINDS.length * STAGES.length })
    this.#plugins.set(name, counters)
    return counters
  }
}

function stageNumber(stage: Stage | undefined): number {
  if (stage === 'END-OF-MESSAGE') return 2
  if (stage === 'RCPT') return 0
  return stage === 'DATA' ? 1 : 3
}
