/**
 * A strict reader of OpenMetrics 1.0.0, as far as the daemon writes it: throws at the first line that the
 * specification does not allow.
 */

export interface ReadFamily {
  readonly name: string
  type: string
  unit: string
  help: string | undefined
  readonly samples: ReadSample[]
}

export interface ReadSample {
  readonly name: string
  readonly labels: ReadonlyMap<string, string>
  readonly value: number
}

const ENDINGS: Readonly<Record<string, readonly string[]>> = {
  gauge: [''],
  counter: ['_total', '_created'],
  histogram: ['_bucket', '_count', '_sum', '_created'],
  info: ['_info'],
}
const NUMBER = /^(?:\+Inf|[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\[\\n"])*)"(,|$)/y

export function readOpenMetrics(text: string): ReadonlyMap<string, ReadFamily> {
  if (!text.endsWith('\n# EOF\n')) throw new Error('it does not end with # EOF')
  const families = new Map<string, ReadFamily>()
  const series = new Set<string>()
  let family: ReadFamily | undefined
  for (const line of text.slice(0, -'# EOF\n'.length).trimEnd().split('\n')) {
    const fail = (why: string): never => {
      throw new Error(`${why}: ${line}`)
    }
    const meta = /^# (HELP|TYPE|UNIT) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/.exec(line)
    if (meta) {
      const [, what, name = '', rest = ''] = meta
      if (family?.name !== name) {
        if (families.has(name)) fail('a family in two places')
        family = { name, type: '', unit: '', help: undefined, samples: [] }
        families.set(name, family)
      }
      if (family.samples.length > 0) fail('described after its samples')
      if (what === 'TYPE') {
        if (family.type !== '' || !Object.hasOwn(ENDINGS, rest)) fail('not a type, or twice')
        family.type = rest
      } else if (what === 'UNIT') {
        if (family.unit !== '' || !name.endsWith(`_${rest}`)) fail('not its unit, or twice')
        family.unit = rest
      } else {
        if (family.help !== undefined || /(?<!\\)(?:\\\\)*"/.test(rest)) fail('help')
        family.help = rest
      }
      continue
    }
    const [, name = '', labelText = '', valueText = ''] = SAMPLE.exec(line) ?? fail('no sample')
    if (!family?.type) throw fail('not described')
    const ending = name.slice(family.name.length)
    if (!name.startsWith(family.name) || !ENDINGS[family.type]?.includes(ending)) fail('its name')
    if (!NUMBER.test(valueText)) fail('not a number')
    const value = numberOf(valueText)
    if (family.type !== 'gauge' && value < 0) fail('below 0')
    const labels = labelsOf(labelText) ?? fail('its labels')
    const key = `${name}${JSON.stringify([...labels].toSorted())}`
    if (series.has(key)) fail('a series twice')
    series.add(key)
    family.samples.push({ name, labels, value })
  }
  for (const one of families.values()) {
    if (one.samples.length === 0) throw new Error(`${one.name} has no sample`)
    if (one.type === 'histogram') checkHistogram(one)
  }
  return families
}

const numberOf = (text: string): number =>
  text === '+Inf' ? Number.POSITIVE_INFINITY : Number(text)

function labelsOf(text: string): ReadonlyMap<string, string> | undefined {
  const labels = new Map<string, string>()
  LABEL.lastIndex = 0
  while (LABEL.lastIndex < text.length) {
    const [, name, value = '', end] = LABEL.exec(text) ?? []
    const isLast = LABEL.lastIndex === text.length
    if (name === undefined || labels.has(name) || isLast !== (end === '')) return undefined
    const plain = value.replace(/\\(.)/g, (_, one: string) => (one === 'n' ? '\n' : one))
    labels.set(name, plain)
  }
  return labels
}

/** Bounds rise, values do not fall, and the last bucket has them all. */
function checkHistogram({ name, samples }: ReadFamily): void {
  const buckets = samples.filter(one => one.name.endsWith('_bucket'))
  const of = (ending: string) => samples.find(one => one.name === `${name}${ending}`)?.value
  let [bound, values] = [Number.NEGATIVE_INFINITY, 0]
  for (const { labels, value } of buckets) {
    const le = labels.get('le') ?? ''
    // The canonical form has a point or an exponent.
    if (!/[.e]|\+Inf/.test(le) || numberOf(le) <= bound || value < values) {
      throw new Error(`${name}: the bucket ${le}`)
    }
    ;[bound, values] = [numberOf(le), value]
  }
  if (bound !== Number.POSITIVE_INFINITY) throw new Error(`${name} has no bucket for all`)
  if (of('_count') !== values || of('_sum') === undefined) throw new Error(`${name}: count or sum`)
}

/** The value of a series; throws if there is none. */
export function valueIn(
  families: ReadonlyMap<string, ReadFamily>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  const isMeant = (one: ReadSample): boolean =>
    one.name === name && Object.entries(labels).every(([key, is]) => one.labels.get(key) === is)
  const found = [...families.values()].flatMap(({ samples }) => samples.filter(isMeant))
  if (found.length === 0) throw new Error(`there is no ${name}${JSON.stringify(labels)}`)
  return found.reduce((sum, { value }) => sum + value, 0)
}
