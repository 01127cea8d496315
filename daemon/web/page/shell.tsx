/** What surrounds every page: the bar at the top, and the way to the pages. */

import type { ComponentChildren } from 'preact'
import { useContext } from 'preact/hooks'
import type { Language } from '../api.ts'
import { Icon, type IconName, Mark } from './parts/icon.tsx'
import { useConsole } from './state/console.ts'
import { LiveContext } from './state/live.ts'
import type { Scheme } from './state/preferences.ts'
import { addressOf, type Route } from './state/route.ts'

export interface Settings {
  language: Language
  setLanguage: (language: Language) => void
  scheme: Scheme
  setScheme: (scheme: Scheme) => void
}

const PAGES = ['today', 'account', 'refusals', 'tryout', 'variables'] as const
const SCHEMES = ['auto', 'light', 'dark'] as const
const SCHEME_ICONS: Readonly<Record<Scheme, IconName>> = {
  auto: 'auto',
  light: 'sun',
  dark: 'moon',
}

export function Shell(props: {
  route: Route
  settings: Settings
  logOut: () => void
  children: ComponentChildren
}) {
  const { t, session } = useConsole()
  const shown = props.route.page === 'why' ? 'refusals' : props.route.page
  return (
    <div class="shell">
      <button
        type="button"
        class="button skip"
        onClick={() => document.querySelector<HTMLElement>('h1')?.focus()}
      >
        {t.skip}
      </button>
      <header class="bar">
        <a class="brand" href={addressOf('today')}>
          <Mark />
          <span class="cut">
            <strong>mtpolicyd</strong>
            <small>{session?.host}</small>
          </span>
        </a>
        <Pulse />
        <SettingTools settings={props.settings} />
        <div class="who">
          <bdi>{session?.user}</bdi>
          <small>{session?.role === 'change' ? t.roleChange : t.roleRead}</small>
        </div>
        <button
          type="button"
          class="button quiet icon"
          onClick={props.logOut}
          aria-label={t.logOut}
          title={t.logOut}
        >
          <Icon name="logout" />
        </button>
      </header>
      <nav class="nav" aria-label={t.pages}>
        <ul>
          {PAGES.map(page => (
            <li key={page}>
              <a href={addressOf(page)} aria-current={page === shown ? 'page' : undefined}>
                <Icon name={page} />
                {t.nav[page]}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <main class="main" id="main">
        {props.children}
      </main>
    </div>
  )
}

function Pulse() {
  const { t } = useConsole()
  const { state, status } = useContext(LiveContext)
  const observes = state === 'running' && status?.mode === 'observe'
  const text = observes ? t.live.observes : t.live[state]
  const tone = state === 'waiting' || observes ? '' : state === 'running' ? 'good' : 'bad'
  return (
    <div class={`pulse ${tone}`} role="status" title={text}>
      <Icon name={tone === 'bad' ? 'bad' : 'pulse'} size={17} />
      <span>{text}</span>
      <span class="unseen">{t.live.label}</span>
    </div>
  )
}

export function SettingTools({ settings }: { settings: Settings }) {
  const { t } = useConsole()
  const { language, setLanguage, scheme, setScheme } = settings
  const other = language === 'en' ? 'de' : 'en'
  const next = SCHEMES[(SCHEMES.indexOf(scheme) + 1) % SCHEMES.length] ?? 'auto'
  return (
    <div class="bar-tools">
      <button
        type="button"
        class="button quiet icon"
        onClick={() => setLanguage(other)}
        title={t.otherLanguage}
      >
        {other.toUpperCase()}
        <span class="unseen">{` – ${t.otherLanguage}`}</span>
      </button>
      <button
        type="button"
        class="button quiet icon"
        onClick={() => setScheme(next)}
        aria-label={t.scheme(t.schemes[scheme], t.schemes[next])}
        title={t.scheme(t.schemes[scheme], t.schemes[next])}
      >
        <Icon name={SCHEME_ICONS[scheme]} />
      </button>
    </div>
  )
}
