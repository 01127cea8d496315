/**
 * What the daemon counts and measures while it runs, for `status`, `top` and monitoring.
 *
 * A meter is declared where it is counted, with its name, its unit and what it means; whatever shows
 * it takes all three from there. Counting is an addition to a field and nothing else, because some
 * meters are counted for each request. Values are lost at a restart, which is usual for
 * counters.
 */

export interface MeterDeclaration {
  /** Lower case, with underscores: `log_lines_dropped`. */
  readonly name: string
  /** In the plural: `lines`, `requests`, `milliseconds`, `bytes`. */
  readonly unit: string
  /** One sentence, for people. */
  readonly help: string
}

/** What tells meters of one name apart: `{plugin: 'default/limit'}`. */
export type Labels = Readonly<Record<string, string>>

/** Only ever grows. */
export interface Counter {
  value: number
}

export interface Reading extends MeterDeclaration {
  readonly kind: 'counter' | 'gauge'
  readonly labels: Labels
  readonly value: number
}

export interface Meters {
  /** The same counter for the same name and labels, so that it survives a reload. */
  counter(declaration: MeterDeclaration, labels?: Labels): Counter
  /** Read when somebody looks. Another one of the same name and labels replaces it. */
  gauge(declaration: MeterDeclaration, read: () => number, labels?: Labels): void
  /** All meters, by name and in the order of their declaration. */
  read(): readonly Reading[]
}
