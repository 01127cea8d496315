/** Other settings, tried with the mail of the last days before they are set: who would have been stopped? */

import { useEffect, useRef, useState } from 'preact/hooks'
import type { Changes, TryoutAnswer, Variables } from '../../api.ts'
import { Card, Empty, Failed, Loading, Notice, PageHead } from '../parts/basics.tsx'
import { Field } from '../parts/field.tsx'
import { type CallError, get, post } from '../state/call.ts'
import { useConsole } from '../state/console.ts'
import { useLoaded } from '../state/load.ts'
import { useTitle } from '../state/title.ts'
import { Tried } from './tryout/tried.tsx'
import { CheckedField } from './variables/checked-field.tsx'
import { SetDialog } from './variables/set-dialog.tsx'

const TRIED = [
  'mtpolicyd/threshold',
  'mtpolicyd/threshold/hour',
  'mtpolicyd/threshold/minute',
  'mtpolicyd/threshold/rolling',
  'mtpolicyd/threshold/message',
  'mtpolicyd/allowedcountries',
] as const
type OnTrial = (typeof TRIED)[number]
const DAYS = ['1', '7', '14', '30', '90'] as const

interface Trial {
  readonly changes: Changes
  readonly answer: TryoutAnswer
}

export function TryOut() {
  const { t, tell, mayChange } = useConsole()
  useTitle(t.nav.tryout)
  const known = useLoaded(signal => get<Variables>('variables', {}, signal), [])
  const [values, setValues] = useState<Readonly<Partial<Record<OnTrial, string>>>>({})
  const [wrong, setWrong] = useState<ReadonlySet<string>>(new Set())
  const [days, setDays] = useState('7')
  const [trial, setTrial] = useState<Trial | undefined>()
  const [problem, setProblem] = useState('')
  const [running, setRunning] = useState<AbortController | undefined>()
  const [isSetting, setSetting] = useState(false)
  const result = useRef<HTMLDivElement>(null)

  const inForce = (name: string) =>
    known.value?.variables.find(variable => variable.name === name)?.value ?? ''
  const changes: Record<string, string | null> = {}
  for (const name of TRIED) {
    const value = values[name]
    if (value === undefined || value.trim() === inForce(name)) continue
    changes[name] = value.trim() === '' ? null : value.trim()
  }
  const isChanged = Object.keys(changes).length > 0

  const run = async () => {
    if (running) return
    if (!isChanged) return setProblem(t.tryout.nothingChanged)
    if (wrong.size > 0) return setProblem(t.tryout.mistakes)
    const leaving = new AbortController()
    setProblem('')
    setRunning(leaving)
    try {
      const body = { changes, days: Number(days) }
      const answer = await post<TryoutAnswer>('tryout', body, leaving.signal)
      setTrial({ changes, answer })
    } catch (error) {
      const { status, message } = error as CallError // post() rejects with no other, unless it was aborted
      if (!leaving.signal.aborted) setProblem(status === 429 ? t.tryout.another : message)
    } finally {
      setRunning(undefined)
    }
  }
  // A trial is of no use to somebody who has left.
  useEffect(() => () => running?.abort(), [running])
  useEffect(() => {
    if (trial) result.current?.scrollIntoView({ block: 'nearest' })
  }, [trial])

  return (
    <>
      <PageHead title={t.nav.tryout} note={t.tryout.note} />
      <div class="stack">
        {known.error && <Failed message={known.error.message} again={known.again} />}
        <Card title={t.tryout.settings} note={t.tryout.settingsNote}>
          {!known.value && !known.error && <Loading lines={6} />}
          {known.value && (
            <form
              class="card-body"
              onSubmit={event => {
                event.preventDefault()
                run()
              }}
            >
              <div class="try-fields">
                {TRIED.map(name => (
                  <CheckedField
                    key={name}
                    name={name}
                    label={t.tryout.names[name]}
                    placeholder={t.tryout.none}
                    hint={t.tryout.now(inForce(name) || t.tryout.none)}
                    value={values[name] ?? inForce(name)}
                    set={value => setValues({ ...values, [name]: value })}
                    emptyIsFine
                    checked={isFine => {
                      if (isFine !== wrong.has(name)) return
                      const others = new Set(wrong)
                      if (isFine) others.delete(name)
                      else others.add(name)
                      setWrong(others)
                    }}
                  />
                ))}
              </div>
              <div class="try-foot">
                <Field
                  label={t.tryout.days}
                  value={days}
                  set={setDays}
                  choices={DAYS.map(one => [one, t.days(Number(one))])}
                />
                <div class="actions">
                  {running && (
                    <button type="button" class="button" onClick={() => running.abort()}>
                      {t.cancel}
                    </button>
                  )}
                  <button
                    type="submit"
                    class="button primary"
                    aria-disabled={running !== undefined}
                  >
                    {running ? t.tryout.running : t.tryout.run}
                  </button>
                </div>
              </div>
              {problem !== '' && (
                <div class="try-problem">
                  <Notice tone="bad" role="alert">
                    {problem}
                  </Notice>
                </div>
              )}
            </form>
          )}
        </Card>
        <div class="stack" ref={result} aria-busy={running !== undefined}>
          {trial ? (
            <Tried
              answer={trial.answer}
              {...(mayChange && known.value?.fixed === undefined
                ? { set: () => setSetting(true) }
                : {})}
            />
          ) : (
            <Card>
              <Empty icon="tryout" title={t.tryout.empty}>
                {t.tryout.emptyHelp}
              </Empty>
            </Card>
          )}
        </div>
      </div>
      {isSetting && trial && (
        <SetDialog
          changes={trial.changes}
          close={() => setSetting(false)}
          done={message => {
            setSetting(false)
            tell(message)
            setValues({})
            known.again()
          }}
        />
      )}
    </>
  )
}
