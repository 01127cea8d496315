/** Who has ordered what for the account, when, why, and how it ended. */

import type { Audit } from '../../../api.ts'
import { Card, Empty, Failed, Loading, Name, Time } from '../../parts/basics.tsx'
import { useConsole } from '../../state/console.ts'
import type { Loaded } from '../../state/load.ts'

export function Trail({ audit }: { audit: Loaded<Audit> }) {
  const { t, f } = useConsole()
  const entries = audit.value?.entries
  return (
    <Card title={t.trail.title}>
      {audit.error && (
        <div class="card-body">
          <Failed message={audit.error.message} again={audit.again} />
        </div>
      )}
      {!entries && !audit.error && <Loading lines={4} />}
      {entries?.length === 0 && (
        <Empty icon="clock" title={t.trail.none}>
          {t.trail.noneHelp}
        </Empty>
      )}
      {entries && entries.length > 0 && (
        <ol class="trail">
          {entries.map(entry => (
            <li
              key={`${entry.at} ${entry.kind}`}
              class={entry.state === 'in force' ? 'in-force' : ''}
            >
              <strong>{t.acts.inForce(entry.kind, entry.value)}</strong>
              <p class="small muted">
                <Time at={entry.at} /> · <Name>{entry.by}</Name>
              </p>
              {entry.why !== '' && (
                <p>
                  <Name>{entry.why}</Name>
                </p>
              )}
              <p class="small muted">
                {t.trail.states[entry.state]}
                {entry.ended !== null && entry.state !== 'done' && <> {f.time(entry.ended)}</>}
                {entry.endedBy !== '' && entry.state !== 'done' && (
                  <>
                    {' · '}
                    <Name>{entry.endedBy}</Name>
                  </>
                )}
                {entry.state === 'in force' && (
                  <>
                    ,{' '}
                    {entry.until === null
                      ? t.acts.untilReleased
                      : t.acts.untilTime(f.time(entry.until))}
                  </>
                )}
              </p>
            </li>
          ))}
        </ol>
      )}
    </Card>
  )
}
