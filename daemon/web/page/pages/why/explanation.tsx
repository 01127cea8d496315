/** A refusal explained: what the sender was told, which rule it was, what each rule saw, and what would help. */

import type { FactValue, Refusal, Step, Why } from '../../../api.ts'
import { AccountLink, Badge, Country, Failed, Loading, Name, Time } from '../../parts/basics.tsx'
import { CommandLine } from '../../parts/command.tsx'
import { get } from '../../state/call.ts'
import { useConsole } from '../../state/console.ts'
import { useLoaded } from '../../state/load.ts'

export function Explanation({ code }: { code: string }) {
  const { t } = useConsole()
  const { value, error, again } = useLoaded(
    signal => get<Why>(`why/${encodeURIComponent(code)}`, {}, signal),
    [code],
  )
  if (error?.status === 404) return <Failed message={t.why.unknown(code)} />
  if (error) return <Failed message={error.message} again={again} />
  if (!value) return <Loading lines={10} />
  const { refusal } = value
  return (
    <>
      <div>
        <p class="said">
          <Name>{refusal.action}</Name>
        </p>
      </div>
      <Facts refusal={refusal} rule={value.rule} place={value.place} found={value.found} />
      {value.remedies.length > 0 && (
        <section>
          <h3>{t.why.remedies}</h3>
          {value.remedies.map(({ text, command }) => (
            <div class="remedy" key={command}>
              <p>{text}</p>
              <CommandLine text={command} />
            </div>
          ))}
        </section>
      )}
      {value.further.length > 0 && (
        <section>
          <h3>{t.why.further}</h3>
          <ul>
            {value.further.map(({ rule, place, remedies }) => (
              <li key={rule}>
                <p>
                  <Name>{rule}</Name> <span class="muted small mono">{place}</span>
                </p>
                {remedies.map(({ text, command }) => (
                  <div class="remedy" key={command}>
                    <p>{text}</p>
                    <CommandLine text={command} />
                  </div>
                ))}
              </li>
            ))}
          </ul>
        </section>
      )}
      <section>
        <h3>{t.why.steps}</h3>
        {refusal.steps ? (
          <ol class="steps">
            {refusal.steps.map(step => (
              <StepLine key={step.plugin} step={step} isDecisive={step.plugin === refusal.by} />
            ))}
          </ol>
        ) : (
          <p class="muted">{t.why.noSteps}</p>
        )}
      </section>
      <details>
        <summary>{t.why.request}</summary>
        <dl class="facts small attributes">
          {Object.entries(refusal.attributes).map(([name, attribute]) => [
            <dt key={`${name}-name`} class="mono">
              {name}
            </dt>,
            <dd key={name}>
              <Name>{attribute}</Name>
            </dd>,
          ])}
        </dl>
      </details>
      {value.others.length > 0 && (
        <p class="muted small">
          {t.why.others} {value.others.map(other => other.code).join(', ')}
        </p>
      )}
    </>
  )
}

function Facts(props: { refusal: Refusal; rule: string; place: string; found: string }) {
  const { t, f } = useConsole()
  const { refusal } = props
  const { sender = '', helo_name: helo = '', client_address: client = '' } = refusal.attributes
  return (
    <dl class="facts">
      <dt>{t.account}</dt>
      <dd>
        <AccountLink account={refusal.account} />
      </dd>
      <dt>{t.time}</dt>
      <dd>
        <Time at={refusal.at} />
      </dd>
      <dt>{t.why.rule}</dt>
      <dd>
        <Name>{props.rule || t.why.noRule}</Name>{' '}
        {props.place !== '' && <span class="muted small mono">{props.place}</span>}
      </dd>
      {props.found !== '' && <dt>{t.why.found}</dt>}
      {props.found !== '' && (
        <dd>
          <Name>{props.found}</Name>
        </dd>
      )}
      <dt>{t.country}</dt>
      <dd>
        <Country code={refusal.country} />{' '}
        <span class="muted">
          <Name>{client}</Name>
        </span>
      </dd>
      <dt>{t.why.sender}</dt>
      <dd>
        <Name>{sender}</Name>
      </dd>
      <dt>HELO</dt>
      <dd>
        <Name>{helo}</Name>
      </dd>
      <dt>{t.why.message}</dt>
      <dd>{t.why.messageText(f.number(refusal.recipients), f.bytes(refusal.bytes))}</dd>
    </dl>
  )
}

function StepLine({ step, isDecisive }: { step: Step; isDecisive: boolean }) {
  const { t } = useConsole()
  const seen = Object.entries(step.saw).filter(
    (pair): pair is [string, FactValue] => pair[1] !== undefined,
  )
  return (
    <li class={isDecisive ? 'decided' : ''}>
      <p>
        <strong>
          <Name>{step.plugin}</Name>
        </strong>{' '}
        <span class="muted small">{step.module}</span>{' '}
        {isDecisive && <Badge tone="bad">{t.why.decided}</Badge>}
      </p>
      <p class="small">
        {step.outcome === 'nothing' ? (
          <span class="muted">{t.why.nothing}</span>
        ) : (
          <Name>{step.outcome}</Name>
        )}
      </p>
      {seen.length > 0 && (
        <p class="pairs">
          {seen.map(([name, value]) => (
            <span key={name}>
              {name} <b>{String(value)}</b>
            </span>
          ))}
        </p>
      )}
    </li>
  )
}
