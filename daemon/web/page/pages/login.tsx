/** Login by the link that `mtpolicyctl web` prints, which works once, or by a token. */

import { useEffect, useState } from 'preact/hooks'
import type { Session } from '../../api.ts'
import { CommandLine } from '../parts/command.tsx'
import { Field } from '../parts/field.tsx'
import { Mark } from '../parts/icon.tsx'
import { type Settings, SettingTools } from '../shell.tsx'
import { type CallError, post } from '../state/call.ts'
import { useConsole } from '../state/console.ts'
import { replaceAddress } from '../state/route.ts'

export function Login(props: {
  link: string | undefined
  settings: Settings
  done: (session: Session) => void
}) {
  const { t } = useConsole()
  const [token, setToken] = useState('')
  const [isBusy, setBusy] = useState(false)
  const [problem, setProblem] = useState('')

  const logIn = async (given: string) => {
    setBusy(true)
    setProblem('')
    try {
      props.done(await post<Session>('login', { token: given }))
    } catch (error) {
      const { status, message } = error as CallError // post() rejects with no other
      setProblem(status === 401 || status === 403 ? t.login.refused : message)
      setBusy(false)
    }
  }

  useEffect(() => {
    document.title = `${t.login.title} – mtpolicyd`
  }, [t])

  // The link is spent with its first use: it stays neither in the address nor in the browser's history.
  useEffect(() => {
    if (props.link === undefined) return
    replaceAddress('#/today')
    logIn(props.link)
  }, [props.link])

  return (
    <main class="login">
      <div class="card login-card">
        <div class="brand">
          <Mark size={36} />
          <strong>mtpolicyd</strong>
        </div>
        <h1>{t.login.title}</h1>
        <form
          onSubmit={event => {
            event.preventDefault()
            if (token.trim() === '') return setProblem(t.login.missing)
            if (!isBusy) logIn(token.trim())
          }}
        >
          <Field
            label={t.login.token}
            type="password"
            autoComplete="current-password"
            value={token}
            set={setToken}
            error={problem}
          />
          <button type="submit" class="button primary" aria-disabled={isBusy}>
            {isBusy ? t.login.busy : t.login.submit}
          </button>
        </form>
        <div class="login-help">
          <p class="muted small">{t.login.help}</p>
          <CommandLine text="mtpolicyctl web login" />
        </div>
        <div class="login-tools">
          <SettingTools settings={props.settings} />
        </div>
      </div>
    </main>
  )
}
