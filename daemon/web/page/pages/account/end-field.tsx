/** When an order ends: some usual times from now, a time of one's own, or until it is released. */

import { useId, useState } from 'preact/hooks'
import { Field } from '../../parts/field.tsx'
import { useConsole } from '../../state/console.ts'

const USUAL = ['', '+1h', '+1d', '+3d', '+7d'] as const

export function EndField(props: { value: string; set: (until: string) => void }) {
  const { t } = useConsole()
  const name = useId()
  const [isOwn, setOwn] = useState(false)
  const [time, setTime] = useState('')
  return (
    <fieldset>
      <legend>{t.acts.end}</legend>
      <div class="choices">
        {USUAL.map(until => (
          <label key={until}>
            <input
              type="radio"
              name={name}
              checked={!isOwn && props.value === until}
              onChange={() => {
                setOwn(false)
                props.set(until)
              }}
            />
            {t.acts.ends[until]}
          </label>
        ))}
        <label>
          <input type="radio" name={name} checked={isOwn} onChange={() => setOwn(true)} />
          {t.acts.ownEnd}
        </label>
      </div>
      {isOwn && (
        <div class="own-end">
          <Field
            label={t.acts.ownEndLabel}
            type="datetime-local"
            value={time}
            set={given => {
              setTime(given)
              const date = new Date(given)
              props.set(Number.isNaN(date.getTime()) ? '' : date.toISOString())
            }}
          />
        </div>
      )}
    </fieldset>
  )
}
