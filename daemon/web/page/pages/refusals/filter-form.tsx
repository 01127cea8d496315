/** What one is looking for. */

import { Field } from '../../parts/field.tsx'
import { useConsole } from '../../state/console.ts'

export interface Filter {
  readonly account: string
  readonly code: string
  readonly country: string
  readonly rule: string
  /** Hours back from now; empty: all that is kept. */
  readonly hours: string
}

export const NO_FILTER: Filter = { account: '', code: '', country: '', rule: '', hours: '' }
const HOURS = ['', '1', '24', '168', '720'] as const

export function readFilter(query: URLSearchParams): Filter {
  const of = (name: keyof Filter) => query.get(name) ?? ''
  return {
    account: of('account'),
    code: of('code'),
    country: of('country'),
    rule: of('rule'),
    hours: HOURS.find(one => one === of('hours')) ?? '',
  }
}

export function FilterForm(props: { filter: Filter; set: (filter: Filter) => void }) {
  const { t } = useConsole()
  const { filter, set } = props
  const part = (name: keyof Filter) => ({
    value: filter[name],
    set: (value: string) => set({ ...filter, [name]: value }),
  })
  return (
    <search>
      <form class="filters" onSubmit={event => event.preventDefault()}>
        <Field label={t.account} {...part('account')} placeholder="alice@example.org" />
        <Field label={t.refusals.code} {...part('code')} placeholder="K3F-9QT" />
        <Field label={t.country} {...part('country')} placeholder="BR" maxLength={2} />
        <Field label={t.why.rule} {...part('rule')} placeholder="threshold" />
        <Field
          label={t.time}
          {...part('hours')}
          choices={HOURS.map(hours => [hours, t.refusals.hours[hours]])}
        />
        <button type="button" class="button" onClick={() => set(NO_FILTER)}>
          {t.refusals.clear}
        </button>
      </form>
    </search>
  )
}
