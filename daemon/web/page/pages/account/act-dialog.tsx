/** Orders something for an account: what, until when, and why, which the audit trail keeps. */

import { useState } from 'preact/hooks'
import type {
  AllowRequest,
  CheckAnswer,
  LimitRequest,
  LimitStanding,
  OrderAnswer,
  ReleaseAnswer,
  ResetAnswer,
} from '../../../api.ts'
import { Name, Notice } from '../../parts/basics.tsx'
import { Dialog } from '../../parts/dialog.tsx'
import { Field } from '../../parts/field.tsx'
import { type CallError, post } from '../../state/call.ts'
import { useConsole } from '../../state/console.ts'
import { EndField } from './end-field.tsx'

export type Act = 'block' | 'allow' | 'limit' | 'release' | 'reset'

const LONGEST_REASON = 200
const WINDOWS = ['day', 'rolling', 'hour', 'minute'] as const

export function ActDialog(props: {
  act: Act
  account: string
  limits: readonly LimitStanding[]
  close: () => void
  done: (message: string) => void
}) {
  const { t, f } = useConsole()
  const { act, account } = props
  const [reason, setReason] = useState('')
  const [until, setUntil] = useState('')
  const [countries, setCountries] = useState('')
  const [threshold, setThreshold] = useState('')
  const [window, setWindow] = useState('day')
  const [problem, setProblem] = useState<{ field: 'countries' | 'threshold' | ''; text: string }>()
  const [isBusy, setBusy] = useState(false)

  const order = async () => {
    const path = `account/${encodeURIComponent(account)}/${act}`
    switch (act) {
      case 'release': {
        const { released } = await post<ReleaseAnswer>(path, {})
        return t.acts.released(account, released.length)
      }
      case 'reset': {
        const { counts } = await post<ResetAnswer>(path, { reason })
        return t.acts.wasReset(account, counts.length)
      }
      case 'block':
        return told(await post<OrderAnswer>(path, { reason, until }))
      case 'allow': {
        const body: AllowRequest = { reason, until, countries }
        return told(await post<OrderAnswer>(path, body))
      }
      case 'limit': {
        const body: LimitRequest = { reason, until, threshold, window }
        return told(await post<OrderAnswer>(path, body))
      }
    }
  }
  const told = ({ measure }: OrderAnswer) =>
    t.acts.ordered(
      account,
      t.acts.inForce(measure.kind, measure.value),
      measure.until === null ? t.acts.untilReleased : t.acts.untilTime(f.time(measure.until)),
    )

  /** By the parser of the variables; empty: it is fine. */
  const mistakeIn = async (field: 'countries' | 'threshold', value: string): Promise<string> => {
    const name = field === 'countries' ? 'mtpolicyd/allowedcountries' : 'mtpolicyd/threshold'
    const answer = await post<CheckAnswer>('variables/check', { name, value })
    return answer.ok ? '' : answer.expected
  }

  const submit = async () => {
    if (isBusy) return
    setBusy(true)
    setProblem(undefined)
    try {
      const field = act === 'allow' ? 'countries' : act === 'limit' ? 'threshold' : undefined
      if (field !== undefined) {
        const value = field === 'countries' ? countries : threshold
        const text = value.trim() === '' ? t.acts.missing[field] : await mistakeIn(field, value)
        if (text !== '') return setProblem({ field, text })
      }
      props.done(await order())
    } catch (error) {
      setProblem({ field: '', text: (error as CallError).message }) // post() rejects with no other
    } finally {
      setBusy(false)
    }
  }

  return (
    <Dialog
      title={
        <>
          {t.acts.titles[act]} <Name>{account}</Name>
        </>
      }
      close={props.close}
      submit={submit}
      foot={
        <>
          <button type="button" class="button" onClick={props.close}>
            {t.cancel}
          </button>
          <button
            type="submit"
            class={`button ${act === 'block' ? 'danger' : 'primary'}`}
            aria-disabled={isBusy}
          >
            {t.acts.submit[act]}
          </button>
        </>
      }
    >
      <p class="muted">{t.acts.notes[act]}</p>
      {problem?.field === '' && (
        <Notice tone="bad" role="alert">
          {problem.text}
        </Notice>
      )}
      {act === 'allow' && (
        <Field
          label={t.acts.countries}
          hint={t.acts.countriesHint}
          placeholder="ES,PT"
          value={countries}
          set={setCountries}
          error={problem?.field === 'countries' ? problem.text : undefined}
        />
      )}
      {act === 'limit' && (
        <>
          <Field
            label={t.acts.threshold}
            hint={t.acts.thresholdHint}
            placeholder="5000"
            value={threshold}
            set={setThreshold}
            error={problem?.field === 'threshold' ? problem.text : undefined}
          />
          <Field
            label={t.acts.window}
            value={window}
            set={setWindow}
            choices={windowsOf(props.limits).map(one => [one, t.window(one)])}
          />
        </>
      )}
      {act !== 'release' && act !== 'reset' && <EndField value={until} set={setUntil} />}
      {act !== 'release' && (
        <Field
          label={t.acts.reason}
          hint={t.acts.reasonHint}
          value={reason}
          set={setReason}
          maxLength={LONGEST_REASON}
        />
      )}
    </Dialog>
  )
}

/** Those that the configuration has for the account; all, where it has none. */
function windowsOf(limits: readonly LimitStanding[]): readonly string[] {
  const used = new Set(limits.map(({ window }) => (window === '24h' ? 'rolling' : window)))
  const known = WINDOWS.filter(one => used.has(one) || used.has(`1${one[0]}`))
  return known.length > 0 ? known : WINDOWS
}
