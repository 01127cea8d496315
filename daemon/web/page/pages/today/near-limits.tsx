/** Accounts that are near a limit or at it. */

import type { NearLimit } from '../../../api.ts'
import { AccountLink, Badge, Card, Time } from '../../parts/basics.tsx'
import { fillOf, Meter } from '../../parts/meter.tsx'
import { useConsole } from '../../state/console.ts'

export function NearLimits({ entries }: { entries: readonly NearLimit[] }) {
  const { t, f } = useConsole()
  if (entries.length === 0) return null
  return (
    <Card title={t.near.title} note={t.near.note}>
      <table class="cards accounts">
        <caption class="unseen">{t.near.title}</caption>
        <thead>
          <tr>
            <th scope="col">{t.account}</th>
            <th scope="col">{t.near.state}</th>
            <th scope="col">{t.near.limit}</th>
            <th scope="col" class="number">
              {t.near.used}
            </th>
            <th scope="col">{t.near.noticed}</th>
          </tr>
        </thead>
        <tbody>
          {entries.map(({ account, limits, used, limit, at }) => (
            <tr key={`${account} ${limits}`}>
              <th scope="row">
                <AccountLink account={account} />
              </th>
              <td>
                {fillOf(used, limit) === 'bad' ? (
                  <Badge tone="bad">{t.near.reached}</Badge>
                ) : (
                  <Badge tone="warn">{t.near.near}</Badge>
                )}
              </td>
              <td data-label={t.near.limit} class="name">
                {limits}
              </td>
              <td data-label={t.near.used} class="number">
                <div>
                  {t.usedOf(f.number(used), f.number(limit))}
                  <Meter
                    used={used}
                    limit={limit}
                    label={t.meter(limits, f.number(used), f.number(limit))}
                  />
                </div>
              </td>
              <td data-label={t.near.noticed}>
                <Time at={at} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  )
}
