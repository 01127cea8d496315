/** The small parts that pages consist of. */

import type { ComponentChildren } from 'preact'
import { useConsole } from '../state/console.ts'
import { addressOf } from '../state/route.ts'
import { Icon, type IconName } from './icon.tsx'

export type Tone = 'good' | 'warn' | 'bad' | 'accent' | 'muted'

const ICONS: Readonly<Record<Tone, IconName>> = {
  good: 'good',
  warn: 'warn',
  bad: 'bad',
  accent: 'note',
  muted: 'note',
}

export function Card(props: {
  title?: ComponentChildren
  note?: ComponentChildren
  tools?: ComponentChildren
  children?: ComponentChildren
  id?: string
}) {
  return (
    <section class="card" id={props.id}>
      {props.title !== undefined && (
        <div class="card-head">
          <h2>{props.title}</h2>
          {props.tools}
          {props.note !== undefined && <p>{props.note}</p>}
        </div>
      )}
      {props.children}
    </section>
  )
}

/** A state as icon and word: never by its colour alone. */
export function Badge(props: { tone: Tone; icon?: IconName; children: ComponentChildren }) {
  return (
    <span class={`badge ${props.tone}`}>
      <Icon name={props.icon ?? ICONS[props.tone]} size={15} />
      {props.children}
    </span>
  )
}

export function Notice(props: { tone: Tone; children: ComponentChildren; role?: 'alert' }) {
  return (
    <div class={`notice ${props.tone}`} role={props.role}>
      <Icon name={ICONS[props.tone]} />
      <div>{props.children}</div>
    </div>
  )
}

export function Empty(props: { icon: IconName; title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <Icon name={props.icon} size={22} />
      <strong>{props.title}</strong>
      {props.children !== undefined && <p>{props.children}</p>}
    </div>
  )
}

/** As high as what is expected, so that nothing jumps. */
export function Loading({ lines = 6 }: { lines?: number }) {
  const { t } = useConsole()
  return (
    <div class="loading" role="status">
      <span class="unseen">{t.loading}</span>
      {Array.from({ length: lines }, (_, line) => (
        <i key={line} />
      ))}
    </div>
  )
}

export function Failed(props: { message: string; again?: () => void }) {
  const { t } = useConsole()
  return (
    <Notice tone="bad" role="alert">
      <p>
        <strong>{t.failed}</strong> {props.message}
      </p>
      {props.again && (
        <p>
          <button type="button" class="link" onClick={props.again}>
            {t.again}
          </button>
        </p>
      )}
    </Notice>
  )
}

/** A name that people have chosen, thieves among them: its direction of writing ends with it. */
export function Name({ children }: { children: string }) {
  return <bdi class="name">{children}</bdi>
}

export function AccountLink({ account }: { account: string }) {
  const { t } = useConsole()
  if (account === '') return <span class="muted">{t.noLogin}</span>
  return (
    <a href={addressOf('account', account)} title={account}>
      <bdi class="name">{account}</bdi>
    </a>
  )
}

export function Country({ code }: { code: string }) {
  const { f, t } = useConsole()
  if (code === '') return <span class="muted">{t.unknownCountry}</span>
  const name = f.country(code)
  return (
    <bdi class="name" title={code}>
      {name}
    </bdi>
  )
}

export function Time({ at }: { at: number | string }) {
  const { f } = useConsole()
  const date = new Date(at)
  const machine = Number.isNaN(date.getTime()) ? undefined : date.toISOString()
  return <time dateTime={machine}>{f.time(at)}</time>
}

export function PageHead(props: {
  title: ComponentChildren
  note?: ComponentChildren
  children?: ComponentChildren
}) {
  return (
    <div class="page-head">
      <div>
        <h1 tabIndex={-1}>{props.title}</h1>
        {props.note !== undefined && <p>{props.note}</p>}
      </div>
      {props.children}
    </div>
  )
}
