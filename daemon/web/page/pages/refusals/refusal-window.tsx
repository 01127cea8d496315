/**
 * A table of any length: rows have one height, and only those in view are in the document. A screen reader
 * is told how many there are, and which one it reads (aria-rowcount, aria-rowindex).
 */

import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { RefusalLine } from '../../../api.ts'
import { AccountLink, Country, Name, Time } from '../../parts/basics.tsx'
import { Told } from '../../parts/told.tsx'
import { useConsole } from '../../state/console.ts'

/** Rows beyond the edges. */
const SPARE = 12
/** The next page is asked for when so many rows are left. */
const EARLY = 60

export function RefusalWindow(props: {
  lines: readonly RefusalLine[]
  hasMore: boolean
  isLoading: boolean
  more: () => void
  open: (code: string) => void
}) {
  const { t } = useConsole()
  const { lines, hasMore } = props
  const box = useRef<HTMLElement>(null)
  const [view, setView] = useState({ first: 0, count: 40, row: 44 })

  const look = () => {
    const element = box.current
    if (!element) return
    const row = Number.parseFloat(getComputedStyle(element).getPropertyValue('--row')) || 44
    const first = Math.max(0, Math.floor(element.scrollTop / row) - SPARE)
    const count = Math.ceil(element.clientHeight / row) + 2 * SPARE
    setView(old =>
      old.first === first && old.count === count && old.row === row ? old : { first, count, row },
    )
  }
  useLayoutEffect(look, [])
  useEffect(() => {
    addEventListener('resize', look)
    return () => removeEventListener('resize', look)
  })
  const end = Math.min(lines.length, view.first + view.count)
  useEffect(() => {
    if (hasMore && !props.isLoading && end > lines.length - EARLY) props.more()
  })

  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: so that the keyboard can scroll it */}
      <section class="window" ref={box} onScroll={look} tabIndex={0} aria-label={t.nav.refusals}>
        <table class="grid" aria-rowcount={hasMore ? -1 : lines.length + 1}>
          <caption class="unseen">{t.nav.refusals}</caption>
          <thead>
            <tr aria-rowindex={1}>
              <th scope="col">{t.time}</th>
              <th scope="col">{t.account}</th>
              <th scope="col">{t.refusals.from}</th>
              <th scope="col">{t.refusals.told}</th>
              <th scope="col" class="rule">
                {t.why.rule}
              </th>
              <th scope="col">{t.refusals.why}</th>
            </tr>
          </thead>
          <tbody style={{ height: `${lines.length * view.row}px` }}>
            {lines.slice(view.first, end).map((line, index) => (
              <Row
                key={view.first + index}
                line={line}
                index={view.first + index}
                row={view.row}
                open={props.open}
              />
            ))}
          </tbody>
        </table>
      </section>
    </>
  )
}

function Row(props: {
  line: RefusalLine
  index: number
  row: number
  open: (code: string) => void
}) {
  const { t } = useConsole()
  const { line, index } = props
  return (
    <tr aria-rowindex={index + 2} style={{ transform: `translateY(${index * props.row}px)` }}>
      <td class="time">
        <Time at={line.at} />
      </td>
      <th scope="row" class="account">
        <AccountLink account={line.account} />
      </th>
      <td class="country">
        <ShortCountry code={line.country} />
      </td>
      <td class="text" title={line.action}>
        <Told action={line.action} />
      </td>
      <td class="rule">
        <Name>{line.by}</Name>
      </td>
      <td class="code">
        <button
          type="button"
          class="link mono"
          aria-label={t.refusals.explain(line.code)}
          onClick={() => props.open(line.code)}
        >
          {line.code}
        </button>
      </td>
    </tr>
  )
}

function ShortCountry({ code }: { code: string }) {
  const { f } = useConsole()
  if (!/^[A-Z]{2}$/.test(code)) return <Country code={code} />
  return <abbr title={f.country(code)}>{code}</abbr>
}
