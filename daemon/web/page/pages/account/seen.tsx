/** Countries or networks the account has connected from, and between which days. */

import { useState } from 'preact/hooks'
import type { Seen } from '../../../api.ts'
import { Card, Country, Empty, Name, Time } from '../../parts/basics.tsx'
import { useConsole } from '../../state/console.ts'

const FIRST = 6

export function SeenTable(props: {
  title: string
  column: string
  seen: readonly Seen[]
  areCountries?: boolean
}) {
  const { t, f } = useConsole()
  const [isWhole, setWhole] = useState(false)
  const { seen } = props
  const from = Math.min(...seen.map(({ first }) => first))
  const length = Math.max(1, Math.max(...seen.map(({ last }) => last)) - from)
  return (
    <Card title={props.title}>
      {seen.length === 0 ? (
        <Empty icon="today" title={t.seen.none} />
      ) : (
        <table class="cards">
          <caption class="unseen">{props.title}</caption>
          <thead>
            <tr>
              <th scope="col">{props.column}</th>
              <th scope="col">{t.seen.first}</th>
              <th scope="col">{t.seen.last}</th>
              <th scope="col" class="number">
                {t.seen.messages}
              </th>
            </tr>
          </thead>
          <tbody>
            {(isWhole ? seen : seen.slice(0, FIRST)).map(({ name, first, last, messages }) => (
              <tr key={name}>
                <th scope="row">
                  {props.areCountries ? <Country code={name} /> : <Name>{name}</Name>}
                  <span class="span" aria-hidden="true">
                    <i
                      style={{
                        left: `min(${((first - from) / length) * 100}%, calc(100% - 0.5rem))`,
                        width: `${((last - first) / length) * 100}%`,
                      }}
                    />
                  </span>
                </th>
                <td data-label={t.seen.first}>
                  <Time at={first} />
                </td>
                <td data-label={t.seen.last}>
                  <Time at={last} />
                </td>
                <td class="number" data-label={t.seen.messages}>
                  {f.number(messages)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {seen.length > FIRST && (
        <div class="more">
          <button type="button" class="button quiet tiny" onClick={() => setWhole(!isWhole)}>
            {isWhole ? t.fewer : t.all(seen.length)}
          </button>
        </div>
      )}
    </Card>
  )
}
