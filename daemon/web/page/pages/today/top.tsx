/** Who sends most, and from which countries. */

import { useState } from 'preact/hooks'
import type { CountrySums, SenderSums } from '../../../api.ts'
import { AccountLink, Card, Country, Empty, Loading } from '../../parts/basics.tsx'
import { widthOf } from '../../parts/meter.tsx'
import { useConsole } from '../../state/console.ts'

const FIRST = 8

export function TopSenders({ senders }: { senders: readonly SenderSums[] | undefined }) {
  const { t, f } = useConsole()
  const [isWhole, setWhole] = useState(false)
  const most = Math.max(1, ...(senders ?? []).map(({ recipients }) => recipients))
  return (
    <Card title={t.top.title}>
      {!senders && <Loading lines={8} />}
      {senders?.length === 0 && (
        <Empty icon="account" title={t.top.empty}>
          {t.top.emptyHelp}
        </Empty>
      )}
      {senders && senders.length > 0 && (
        <table class="cards accounts">
          <caption class="unseen">{t.top.title}</caption>
          <thead>
            <tr>
              <th scope="col">{t.account}</th>
              <th scope="col" class="number">
                {t.top.recipients}
              </th>
              <th scope="col" class="number">
                {t.top.messages}
              </th>
              <th scope="col" class="number">
                {t.top.refused}
              </th>
              <th scope="col">{t.top.countries}</th>
            </tr>
          </thead>
          <tbody>
            {(isWhole ? senders : senders.slice(0, FIRST)).map(sender => (
              <tr key={sender.account}>
                <th scope="row">
                  <AccountLink account={sender.account} />
                  <span class="bar-track">
                    <i class="accepted" style={widthOf(sender.recipients / most)} />
                  </span>
                </th>
                <td class="number" data-label={t.top.recipients}>
                  {f.number(sender.recipients)}
                </td>
                <td class="number" data-label={t.top.messages}>
                  {f.number(sender.messages)}
                </td>
                <td class="number" data-label={t.top.refused}>
                  {f.number(sender.refused)}
                </td>
                <td data-label={t.top.countries} title={sender.countries.map(f.country).join(', ')}>
                  {t.top.some(sender.countries)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {senders && senders.length > FIRST && (
        <div class="more">
          <button type="button" class="button quiet tiny" onClick={() => setWhole(!isWhole)}>
            {isWhole ? t.fewer : t.all(senders.length)}
          </button>
        </div>
      )}
    </Card>
  )
}

export function Countries({ countries }: { countries: readonly CountrySums[] | undefined }) {
  const { t, f } = useConsole()
  const [isWhole, setWhole] = useState(false)
  const most = Math.max(1, ...(countries ?? []).map(one => one.messages + one.refused))
  return (
    <Card title={t.countries.title}>
      {!countries && <Loading lines={8} />}
      {countries?.length === 0 && <Empty icon="today" title={t.countries.empty} />}
      {countries && countries.length > 0 && (
        <table class="countries">
          <caption class="unseen">{t.countries.title}</caption>
          <thead>
            <tr>
              <th scope="col">{t.country}</th>
              <th scope="col" class="number">
                {t.countries.accepted}
              </th>
              <th scope="col" class="number">
                {t.countries.refused}
              </th>
            </tr>
          </thead>
          <tbody>
            {(isWhole ? countries : countries.slice(0, FIRST)).map(one => (
              <tr key={one.country}>
                <th scope="row">
                  <Country code={one.country} />
                  <span class="bar-track">
                    <i class="accepted" style={widthOf(one.messages / most)} />
                    <i class="refused" style={widthOf(one.refused / most)} />
                  </span>
                </th>
                <td class="number">{f.number(one.messages)}</td>
                <td class="number">{f.number(one.refused)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {countries && countries.length > FIRST && (
        <div class="more">
          <button type="button" class="button quiet tiny" onClick={() => setWhole(!isWhole)}>
            {isWhole ? t.fewer : t.all(countries.length)}
          </button>
        </div>
      )}
    </Card>
  )
}
