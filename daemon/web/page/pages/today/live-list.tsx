/** Verdicts as they are given. It is not read out by itself: it would never end. */

import { useState } from 'preact/hooks'
import { AccountLink, Card, Country, Empty } from '../../parts/basics.tsx'
import { Icon } from '../../parts/icon.tsx'
import { useConsole } from '../../state/console.ts'
import type { Live } from '../../state/live.ts'

export function LiveList({ live }: { live: Live }) {
  const { t, f } = useConsole()
  const [stopped, setStopped] = useState<Live['verdicts'] | undefined>()
  const shown = stopped ?? live.verdicts
  return (
    <Card
      title={t.liveList.title}
      tools={
        <button
          type="button"
          class="button quiet tiny"
          aria-pressed={stopped !== undefined}
          onClick={() => setStopped(stopped ? undefined : live.verdicts)}
        >
          {stopped ? t.liveList.resume : t.liveList.pause}
        </button>
      }
    >
      {shown.length === 0 ? (
        <Empty icon="pulse" title={t.liveList.empty}>
          {t.liveList.emptyHelp}
        </Empty>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: so that the keyboard can scroll it
        <section class="live" tabIndex={0} aria-label={t.liveList.title}>
          <ul>
            {shown.map(verdict => (
              <li key={verdict.key} class={verdict.isRefused ? 'refused' : ''}>
                <Icon name={verdict.isRefused ? 'cross' : 'check'} size={16} />
                <div class="cut">
                  <AccountLink account={verdict.account} />
                </div>
                <small>{f.clock(verdict.at)}</small>
                <span />
                <small class="cut">
                  {verdict.isRefused
                    ? `${t.liveList.refused(verdict.by)}, `
                    : `${t.liveList.accepted(verdict.recipients)}, `}
                  {verdict.country !== '' && (
                    <>
                      <Country code={verdict.country} />,{' '}
                    </>
                  )}
                  {verdict.client}
                </small>
                <span />
              </li>
            ))}
          </ul>
        </section>
      )}
    </Card>
  )
}
