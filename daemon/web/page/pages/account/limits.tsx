/** What is used of each limit, and when there is room again. */

import type { LimitStanding } from '../../../api.ts'
import { Empty, Name, Time } from '../../parts/basics.tsx'
import { Meter } from '../../parts/meter.tsx'
import { useConsole } from '../../state/console.ts'

export function Limits({ limits }: { limits: readonly LimitStanding[] }) {
  const { t } = useConsole()
  if (limits.length === 0) {
    return (
      <Empty icon="variables" title={t.limits.none}>
        {t.limits.noneHelp}
      </Empty>
    )
  }
  return (
    <ul class="card-body">
      {limits.map(limit => (
        <li class="limit" key={`${limit.name} ${limit.window}`}>
          <Standing limit={limit} />
        </li>
      ))}
    </ul>
  )
}

function Standing({ limit }: { limit: LimitStanding }) {
  const { t, f } = useConsole()
  const label = t.limits.label(t.unit(limit.unit), t.window(limit.window))
  const used = limit.used === null ? '–' : f.number(limit.used)
  return (
    <>
      <div class="limit-head">
        <span>{label}</span>
        <strong>
          {typeof limit.limit === 'number'
            ? t.usedOf(used, f.number(limit.limit))
            : limit.limit === 'unlimited'
              ? t.limits.unlimited(used)
              : used}
        </strong>
      </div>
      {typeof limit.limit === 'number' && limit.used !== null && (
        <Meter
          used={limit.used}
          limit={limit.limit}
          label={t.meter(label, used, f.number(limit.limit))}
        />
      )}
      <small>
        <Name>{limit.name}</Name>
        {limit.subject !== '' && limit.per !== 'user' && (
          <>
            {' · '}
            <Name>{limit.subject}</Name>
          </>
        )}
        {limit.next !== undefined && <> · {t.limits.next(limit.next)}</>}
        {limit.again !== null && (
          <>
            {' · '}
            {t.limits.again} <Time at={limit.again} />
          </>
        )}
        {limit.problem !== undefined && <> · {limit.problem}</>}
      </small>
    </>
  )
}
