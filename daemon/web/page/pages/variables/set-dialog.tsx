/** Shows what a change would write into which file, and sets it. */

import { useState } from 'preact/hooks'
import type { Changes, PreviewAnswer, SetAnswer } from '../../../api.ts'
import { Failed, Loading, Notice } from '../../parts/basics.tsx'
import { Dialog } from '../../parts/dialog.tsx'
import { type CallError, post } from '../../state/call.ts'
import { useConsole } from '../../state/console.ts'
import { useLoaded } from '../../state/load.ts'
import { Diff } from './diff.tsx'

export function SetDialog(props: {
  changes: Changes
  close: () => void
  done: (message: string) => void
}) {
  const { t, mayChange } = useConsole()
  const { changes } = props
  const [problem, setProblem] = useState('')
  const [isBusy, setBusy] = useState(false)
  const { value, error, again } = useLoaded(
    signal => post<PreviewAnswer>('variables/preview', { changes }, signal),
    [changes],
  )
  const submit = async () => {
    if (isBusy || !value?.canBeSet || !mayChange) return
    setBusy(true)
    setProblem('')
    try {
      const { notices } = await post<SetAnswer>('variables/set', { changes })
      const warnings = notices.map(({ message }) => message).join(' ')
      props.done(`${t.set.done(Object.keys(changes).length)} ${warnings}`.trim())
    } catch (failure) {
      setProblem((failure as CallError).message) // post() rejects with no other
      setBusy(false)
    }
  }
  return (
    <Dialog
      look="wide"
      title={mayChange ? t.set.title : t.set.titleRead}
      close={props.close}
      submit={submit}
      foot={
        <>
          <button type="button" class="button" onClick={props.close}>
            {mayChange ? t.cancel : t.close}
          </button>
          {mayChange && (
            <button type="submit" class="button primary" aria-disabled={isBusy || !value?.canBeSet}>
              {isBusy ? t.set.busy : t.set.submit}
            </button>
          )}
        </>
      }
    >
      {problem !== '' && (
        <Notice tone="bad" role="alert">
          {problem}
        </Notice>
      )}
      <dl class="facts">
        {Object.entries(changes).map(([name, to]) => [
          <dt class="mono name" key={`${name}-name`}>
            {name}
          </dt>,
          <dd class="mono" key={name}>
            {to === null ? t.set.unset : to}
          </dd>,
        ])}
      </dl>
      {error && <Failed message={error.message} again={again} />}
      {!value && !error && <Loading lines={6} />}
      {value?.notices.map(({ severity, message }) => (
        <Notice key={message} tone={severity === 'error' ? 'bad' : 'warn'}>
          {message}
        </Notice>
      ))}
      {value?.files.map(({ file, diff }) => (
        <section key={file}>
          <h3 class="mono name">{file}</h3>
          <Diff text={diff} label={t.set.diffOf(file)} />
        </section>
      ))}
      {value && value.files.length === 0 && value.canBeSet && <p class="muted">{t.set.noFile}</p>}
    </Dialog>
  )
}
