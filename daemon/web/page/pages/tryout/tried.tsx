/** What a trial has shown: in all, and account by account. */

import { useState } from 'preact/hooks'
import type { TryoutAnswer, TryoutSums } from '../../../api.ts'
import { AccountLink, Badge, Card, Empty, Name, Notice } from '../../parts/basics.tsx'
import { Icon } from '../../parts/icon.tsx'
import { useConsole } from '../../state/console.ts'

const FIRST = 50

export function Tried({ answer, set }: { answer: TryoutAnswer; set?: () => void }) {
  const { t, f } = useConsole()
  const [isWhole, setWhole] = useState(false)
  const { accounts, now, tried } = answer
  return (
    <>
      <Card
        title={t.tryout.result}
        note={t.tryout.looked(
          f.number(answer.looked),
          answer.source,
          f.time(answer.since),
          f.time(answer.until),
        )}
        tools={
          set && (
            <button type="button" class="button primary" onClick={set}>
              {t.tryout.set}
            </button>
          )
        }
      >
        <div class="card-body" role="status">
          <div class="compare">
            <Sums title={t.tryout.before} sums={now} />
            <Icon name="arrow" size={24} />
            <Sums title={t.tryout.after} sums={tried} isTried />
          </div>
        </div>
        {(answer.because !== undefined || answer.isPartial || answer.notes.length > 0) && (
          <div class="card-body stack">
            {answer.source === 'history' && (
              <Notice tone="warn">
                <p>
                  {t.tryout.estimate} {answer.because}
                </p>
              </Notice>
            )}
            {answer.isPartial && <Notice tone="warn">{t.tryout.partial}</Notice>}
            {answer.notes.map(note => (
              <Notice tone="muted" key={note}>
                {note}
              </Notice>
            ))}
          </div>
        )}
      </Card>
      <Card title={t.tryout.stopped}>
        {accounts.length === 0 ? (
          <Empty icon="good" title={t.tryout.nobody}>
            {t.tryout.nobodyHelp}
          </Empty>
        ) : (
          <table class="cards">
            <caption class="unseen">{t.tryout.stopped}</caption>
            <thead>
              <tr>
                <th scope="col">{t.account}</th>
                <th scope="col">{t.tryout.change}</th>
                <th scope="col" class="number">
                  {t.tryout.before}
                </th>
                <th scope="col" class="number">
                  {t.tryout.after}
                </th>
                <th scope="col">{t.tryout.first}</th>
                <th scope="col">{t.why.rule}</th>
              </tr>
            </thead>
            <tbody>
              {(isWhole ? accounts : accounts.slice(0, FIRST)).map(one => (
                <tr key={one.account}>
                  <th scope="row">
                    <AccountLink account={one.account} />
                  </th>
                  <td>
                    <Difference before={one.now.recipients} after={one.tried.recipients} />
                  </td>
                  <td class="number" data-label={t.tryout.before}>
                    {f.number(one.now.recipients)}
                  </td>
                  <td class="number" data-label={t.tryout.after}>
                    {f.number(one.tried.recipients)}
                  </td>
                  <td data-label={t.tryout.first}>
                    {one.tried.first === null ? '–' : f.time(one.tried.first)}
                  </td>
                  <td data-label={t.why.rule}>
                    <Name>{one.tried.by.join(', ')}</Name>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
        {accounts.length > FIRST && (
          <div class="more">
            <button type="button" class="button quiet tiny" onClick={() => setWhole(!isWhole)}>
              {isWhole ? t.fewer : t.all(accounts.length)}
            </button>
          </div>
        )}
      </Card>
    </>
  )
}

function Sums(props: { title: string; sums: TryoutSums; isTried?: boolean }) {
  const { t, f } = useConsole()
  const { accounts, times, recipients } = props.sums
  return (
    <div class={props.isTried ? 'tried' : ''}>
      <h3>{props.title}</h3>
      <strong>{t.tryout.accounts(accounts, f.number(accounts))}</strong>
      <p class="muted small">{t.tryout.sums(f.number(times), f.number(recipients))}</p>
    </div>
  )
}

function Difference({ before, after }: { before: number; after: number }) {
  const { t } = useConsole()
  if (before === 0 && after > 0) return <Badge tone="warn">{t.tryout.newlyStopped}</Badge>
  if (before > 0 && after === 0) return <Badge tone="good">{t.tryout.freed}</Badge>
  if (after > before) return <Badge tone="warn">{t.tryout.more}</Badge>
  if (after < before) return <Badge tone="good">{t.tryout.less}</Badge>
  return <Badge tone="muted">{t.tryout.same}</Badge>
}
