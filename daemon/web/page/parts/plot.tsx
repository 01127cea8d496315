/** Columns over time, drawn by uPlot. The same numbers follow as a table, for people who do not see the plot. */

import { useEffect, useRef, useState } from 'preact/hooks'
import uPlot from 'uplot'
import type { Series } from '../../api.ts'
import { useConsole } from '../state/console.ts'
import { useSchemeTurn } from '../state/preferences.ts'

export interface Curve {
  readonly of: 'accepted' | 'refused' | 'recipients'
  readonly label: string
  readonly values: readonly number[]
}

/** Plots with the same name show the same moment under the pointer. */
const GROUP = 'times'
/** The table has the latest rows alone beyond this. */
const MOST_ROWS = 400

/** Columns on top of each other: the sums, the highest curve first. */
function stacked(curves: readonly Curve[]): number[][] {
  let below = new Array<number>(curves[0]?.values.length ?? 0).fill(0)
  const sums = curves.map(({ values }) => {
    below = values.map((value, index) => value + (below[index] ?? 0))
    return below
  })
  return sums.reverse()
}

export function Plot(props: {
  label: string
  series: Series
  /** The lowest first. */
  curves: readonly Curve[]
  height: number
}) {
  const { f, t, language } = useConsole()
  const place = useRef<HTMLDivElement>(null)
  const [at, setAt] = useState<number | undefined>()
  const turn = useSchemeTurn()
  const { times } = props.series

  useEffect(() => {
    const box = place.current
    if (!box) return undefined
    const colour = colours(box)
    const half = props.series.step / 2000
    const columns = uPlot.paths.bars?.({ size: [0.72, 40], radius: 0.12 })
    const font = `12px ${getComputedStyle(box).fontFamily}`
    const axis = {
      stroke: colour('--muted'),
      font,
      grid: { stroke: colour('--plot-grid'), width: 1 },
      ticks: { show: false },
    }
    const lastsDays = (times.at(-1) ?? 0) - (times[0] ?? 0) > 2 * 86_400_000
    const tickFormat = new Intl.DateTimeFormat(
      language === 'de' ? 'de-DE' : 'en-GB',
      lastsDays ? { day: 'numeric', month: 'short' } : { hour: '2-digit', minute: '2-digit' },
    )
    const tick = (seconds: number) => tickFormat.format(seconds * 1000)
    const plot = new uPlot(
      {
        width: box.clientWidth,
        height: props.height,
        legend: { show: false },
        padding: [8, 4, 0, 0],
        cursor: {
          y: false,
          points: { show: false },
          drag: { x: false, y: false },
          sync: { key: GROUP, setSeries: false },
        },
        scales: {
          // Room for the first and the last column.
          x: { range: (_, least, most) => [least - half, most + half] },
          y: { range: (_, __, most) => [0, Math.max(4, most * 1.08)] },
        },
        axes: [
          {
            ...axis,
            grid: { show: false },
            size: 30,
            space: 70,
            values: (_, all) => all.map(one => tick(one)),
          },
          {
            ...axis,
            size: 52,
            space: 30,
            incrs: [
              1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6, 1e7,
            ],
            values: (_, all) => all.map(one => f.number(one)),
          },
        ],
        series: [
          {},
          ...props.curves.toReversed().map(({ of }) => ({
            fill: colour(`--plot-${of}`),
            width: 0,
            points: { show: false },
            ...(columns ? { paths: columns } : {}),
          })),
        ],
        hooks: { setCursor: [({ cursor }) => setAt(cursor.idx ?? undefined)] },
      },
      [times.map(time => time / 1000), ...stacked(props.curves)],
      box,
    )
    const fit = new ResizeObserver(() =>
      plot.setSize({ width: box.clientWidth, height: props.height }),
    )
    fit.observe(box)
    return () => {
      fit.disconnect()
      plot.destroy()
    }
  }, [props.series, props.height, turn, language])

  const sums = props.curves.map(({ values }) => values.reduce((sum, value) => sum + value, 0))
  const shown = at !== undefined && times[at] !== undefined ? at : undefined
  return (
    <figure class="plot">
      <figcaption class="legend">
        {props.curves.map(({ of, label, values }, index) => (
          <span key={of}>
            <i class={`dot ${of}`} />
            {label}
            <b>{f.number(shown === undefined ? (sums[index] ?? 0) : (values[shown] ?? 0))}</b>
          </span>
        ))}
        <time>{shown === undefined ? t.plot.inAll : f.hour(times[shown] ?? 0)}</time>
      </figcaption>
      <div
        ref={place}
        role="img"
        aria-label={t.plot.summary(
          props.label,
          props.curves
            .map(({ label }, index) => `${label}: ${f.number(sums[index] ?? 0)}`)
            .join(', '),
        )}
        style={{ height: `${props.height}px` }}
      />
    </figure>
  )
}

/** uPlot wants colours, not variables: an element is painted with one, and the browser tells which it is. */
function colours(box: HTMLElement): (variable: string) => string {
  return variable => {
    const probe = document.createElement('i')
    probe.style.color = `var(${variable})`
    box.append(probe)
    const { color } = getComputedStyle(probe)
    probe.remove()
    return color
  }
}

/** The numbers of plots, the latest hour first. */
export function PlotTable(props: { caption: string; series: Series; curves: readonly Curve[] }) {
  const { t, f } = useConsole()
  const [isOpen, setOpen] = useState(false)
  const { times } = props.series
  const rows = times.map((time, index) => ({ time, index })).toReversed()
  return (
    <details class="numbers" onToggle={event => setOpen(event.currentTarget.open)}>
      <summary>{t.plot.asTable}</summary>
      {isOpen && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: so that the keyboard can scroll it
        <section class="scroll" tabIndex={0} aria-label={props.caption}>
          <table>
            <caption class="unseen">{props.caption}</caption>
            <thead>
              <tr>
                <th scope="col">{t.plot.from}</th>
                {props.curves.map(({ of, label }) => (
                  <th scope="col" class="number" key={of}>
                    {label}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.slice(0, MOST_ROWS).map(({ time, index }) => (
                <tr key={time}>
                  <th scope="row">
                    <time>{f.hour(time)}</time>
                  </th>
                  {props.curves.map(({ of, values }) => (
                    <td class="number" key={of}>
                      {f.number(values[index] ?? 0)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </details>
  )
}
