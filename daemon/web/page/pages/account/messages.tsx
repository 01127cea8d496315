/** The last messages of the account. */

import { useState } from 'preact/hooks'
import type { SeenMessage } from '../../../api.ts'
import { Badge, Card, Country, Empty, Name, Time } from '../../parts/basics.tsx'
import { useConsole } from '../../state/console.ts'

const FIRST = 10

export function Messages({ messages }: { messages: readonly SeenMessage[] }) {
  const { t, f } = useConsole()
  const [isWhole, setWhole] = useState(false)
  return (
    <Card title={t.messages.title}>
      {messages.length === 0 ? (
        <Empty icon="today" title={t.messages.none}>
          {t.messages.noneHelp}
        </Empty>
      ) : (
        <table class="cards">
          <caption class="unseen">{t.messages.title}</caption>
          <thead>
            <tr>
              <th scope="col">{t.time}</th>
              <th scope="col">{t.messages.answer}</th>
              <th scope="col" class="number">
                {t.messages.recipients}
              </th>
              <th scope="col" class="number">
                {t.messages.size}
              </th>
              <th scope="col">{t.messages.from}</th>
            </tr>
          </thead>
          <tbody>
            {(isWhole ? messages : messages.slice(0, FIRST)).map(message => (
              <tr key={`${message.at} ${message.instance}`}>
                <th scope="row">
                  <Time at={message.at} />
                </th>
                <td>
                  {message.code === '' ? (
                    <Badge tone="good">{t.messages.accepted}</Badge>
                  ) : (
                    <Badge tone="bad">{t.messages.refused}</Badge>
                  )}
                </td>
                <td class="number" data-label={t.messages.recipients}>
                  {f.number(message.recipients)}
                </td>
                <td class="number" data-label={t.messages.size}>
                  {f.bytes(message.bytes)}
                </td>
                <td data-label={t.messages.from}>
                  <span>
                    <Country code={message.country} />{' '}
                    <span class="muted small">
                      <Name>{message.client}</Name>
                    </span>
                  </span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {messages.length > FIRST && (
        <div class="more">
          <button type="button" class="button quiet tiny" onClick={() => setWhole(!isWhole)}>
            {isWhole ? t.fewer : t.all(messages.length)}
          </button>
        </div>
      )}
    </Card>
  )
}
