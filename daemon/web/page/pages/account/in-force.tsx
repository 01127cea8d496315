/** What is ordered for the account, as badges below its name, and the buttons that order something else. */

import type { Account, Measure } from '../../../api.ts'
import { Badge } from '../../parts/basics.tsx'
import { useConsole } from '../../state/console.ts'
import type { Act } from './act-dialog.tsx'

export function InForce({ account: { measures, limits } }: { account: Account }) {
  const { t, f } = useConsole()
  const reached = limits.filter(({ next }) => next !== undefined && next !== '')
  const untilOf = ({ until }: Measure) =>
    until === null ? t.acts.untilReleased : t.acts.untilTime(f.time(until))
  return (
    <span class="badges">
      {measures.map(measure => (
        <Badge
          key={`${measure.kind} ${measure.value}`}
          tone={measure.kind === 'block' ? 'bad' : 'accent'}
          icon={measure.kind === 'block' ? 'lock' : 'clock'}
        >
          {t.acts.inForce(measure.kind, measure.value)}, {untilOf(measure)}
        </Badge>
      ))}
      {reached.map(({ name }) => (
        <Badge key={name} tone="warn">
          {t.accountPage.reached(name)}
        </Badge>
      ))}
      {measures.length === 0 && reached.length === 0 && (
        <Badge tone="good">{t.accountPage.free}</Badge>
      )}
    </span>
  )
}

export function ActButtons(props: { measures: readonly Measure[]; choose: (act: Act) => void }) {
  const { t } = useConsole()
  const isBlocked = props.measures.some(({ kind }) => kind === 'block')
  return (
    <div class="actions">
      {props.measures.length > 0 && (
        <button type="button" class="button primary" onClick={() => props.choose('release')}>
          {t.acts.buttons.release}
        </button>
      )}
      <button type="button" class="button" onClick={() => props.choose('allow')}>
        {t.acts.buttons.allow}
      </button>
      <button type="button" class="button" onClick={() => props.choose('limit')}>
        {t.acts.buttons.limit}
      </button>
      <button type="button" class="button" onClick={() => props.choose('reset')}>
        {t.acts.buttons.reset}
      </button>
      {!isBlocked && (
        <button type="button" class="button danger" onClick={() => props.choose('block')}>
          {t.acts.buttons.block}
        </button>
      )}
    </div>
  )
}
