/**
 * What the daemon counts and measures while it runs, for `status`, `top` and monitoring.
 *
 * A meter is declared where it is counted, with its name, its unit and what it means; whatever shows
 * it takes all three from there. Counting is an addition to a field and nothing else, because some
 * meters are counted for each request. Values are lost at a restart, which is usual for
 * counters.
 *
 * Labels have few values, which do not depend on what strangers send; never the name of a user.
 */

export interface MeterDeclaration {
  /** Lower case, with underscores: `log_lines_dropped`. Ends with `_seconds` or `_bytes` if that is the unit. */
  readonly name: string
  /** In the plural: `lines`, `requests`. Times are in `seconds`, sizes in `bytes`. */
  readonly unit: string
  /** One sentence, for people. */
  readonly help: string
}

/**
 * A histogram's buckets end at `least`, at twice as much, and so on, `buckets` times; a value beyond is
 * counted all the same. If `least` is a power of two, these are bounds of a native histogram of Prometheus
 * (schema 0).
 */
export interface HistogramDeclaration extends MeterDeclaration {
  readonly least: number
  /** 1 to 31. */
  readonly buckets: number
}

/** What tells meters of one name apart: `{plugin: 'default/limit'}`. */
export type Labels = Readonly<Record<string, string>>

/** Only ever grows. */
export interface Counter {
  value: number
}

export interface Histogram {
  /** In the unit; what is not a number, or below 0, is left out. */
  note(value: number): void
}

export interface Reading extends MeterDeclaration {
  readonly kind: 'counter' | 'gauge' | 'histogram'
  readonly labels: Labels
  /** In a histogram: how many values were noted. */
  readonly value: number
  /** Histograms only. */
  readonly distribution?: Distribution
}

export interface Distribution {
  readonly sum: number
  /** How many values were at most that large, from the smallest bound to the largest. */
  readonly buckets: readonly (readonly [atMost: number, values: number])[]
}

export interface Meters {
  /** The same counter for the same name and labels, so that it survives a reload. */
  counter(declaration: MeterDeclaration, labels?: Labels): Counter
  /** The same histogram for the same name and labels. */
  histogram(declaration: HistogramDeclaration, labels?: Labels): Histogram
  /**
   * A counter that is kept elsewhere, and read when somebody looks. Not a number: it is not known now, and is
   * left out. Another one of the same name and labels replaces it.
   */
  total(declaration: MeterDeclaration, read: () => number, labels?: Labels): void
  /** As `total`, of what may also become less. */
  gauge(declaration: MeterDeclaration, read: () => number, labels?: Labels): void
  /** All meters, by name and in the order of their declaration. */
  read(): readonly Reading[]
}
