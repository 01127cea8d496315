/** Who is logged in, and which page is shown. */

import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { Session } from '../api.ts'
import { Account } from './pages/account.tsx'
import { Accounts } from './pages/accounts.tsx'
import { Login } from './pages/login.tsx'
import { Refusals } from './pages/refusals.tsx'
import { Today } from './pages/today.tsx'
import { TryOut } from './pages/tryout.tsx'
import { Variables } from './pages/variables.tsx'
import { WhyPage } from './pages/why.tsx'
import { Loading } from './parts/basics.tsx'
import { Toast } from './parts/toast.tsx'
import { Shell } from './shell.tsx'
import { type CallError, get, post, SESSION_ENDED } from './state/call.ts'
import { type Console, ConsoleContext } from './state/console.ts'
import { LiveContext, useLiveEvents } from './state/live.ts'
import { loginLinkOf } from './state/login-link.ts'
import { useLanguage, useScheme } from './state/preferences.ts'
import { type Route, useRoute } from './state/route.ts'
import { formatsOf } from './texts/formats.ts'
import { texts } from './texts/texts.ts'

type LoggedIn = Session | 'nobody' | 'unknown'

export function App() {
  const [language, setLanguage] = useLanguage()
  const [scheme, setScheme] = useScheme()
  const [who, setWho] = useState<LoggedIn>('unknown')
  const [message, setMessage] = useState({ text: '', turn: 0 })
  const [link, setLink] = useState(() => loginLinkOf(location.hash))
  const route = useRoute()
  const live = useLiveEvents(typeof who === 'object')
  const t = texts[language]

  const tell = useCallback(
    (text: string) => setMessage(({ turn }) => ({ text, turn: turn + 1 })),
    [],
  )

  useEffect(() => {
    const found = loginLinkOf(location.hash)
    if (found) setLink(found)
  }, [route])

  useEffect(() => {
    if (link) return setWho('nobody')
    get<Session>('session').then(setWho, (error: CallError) => {
      setWho('nobody')
      if (error.status !== 401) tell(error.message)
    })
  }, [link, tell])

  useEffect(() => {
    const ended = () => setWho('nobody')
    addEventListener(SESSION_ENDED, ended)
    return () => removeEventListener(SESSION_ENDED, ended)
  }, [])

  const session = typeof who === 'object' ? who : undefined
  const shared = useMemo<Console>(
    () => ({
      session,
      mayChange: session?.role === 'change',
      language,
      t,
      f: formatsOf(language),
      tell,
    }),
    [session, language, t, tell],
  )

  const logOut = async () => {
    await post('logout', {}).catch(() => undefined)
    location.hash = ''
    setWho('nobody')
  }

  const settings = { language, setLanguage, scheme, setScheme }
  return (
    <ConsoleContext.Provider value={shared}>
      <LiveContext.Provider value={live}>
        {who === 'unknown' && <Loading />}
        {who === 'nobody' && (
          <Login
            link={link}
            settings={settings}
            done={now => {
              setLink(undefined)
              setWho(now)
            }}
          />
        )}
        {session && (
          <Shell route={route} settings={settings} logOut={logOut}>
            <Page route={route} />
          </Shell>
        )}
        <Toast message={message} />
      </LiveContext.Provider>
    </ConsoleContext.Provider>
  )
}

function Page({ route }: { route: Route }) {
  const key = `${route.page}/${route.name}`
  const first = useRef(true)
  // As with a page of its own: it begins at the top, and its title is read out.
  useEffect(() => {
    scrollTo(0, 0)
    if (!first.current) document.querySelector<HTMLElement>('h1')?.focus()
    first.current = false
  }, [key])
  switch (route.page) {
    case 'account':
      return route.name === '' ? <Accounts /> : <Account key={key} name={route.name} />
    case 'refusals':
      return <Refusals query={route.query} />
    case 'why':
      return <WhyPage key={key} code={route.name} />
    case 'tryout':
      return <TryOut />
    case 'variables':
      return <Variables />
    default:
      return <Today />
  }
}
