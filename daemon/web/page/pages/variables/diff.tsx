/** A unified diff. What is new and what is gone has its sign, and its colour. */

const KINDS: Readonly<Record<string, string>> = { '+': 'added', '-': 'removed', '@': 'place' }

export function Diff({ text, label }: { text: string; label: string }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: so that the keyboard can scroll it
    // biome-ignore lint/a11y/useSemanticElements: white space counts in a <pre>
    <pre class="diff" tabIndex={0} role="region" aria-label={label}>
      {text
        .replace(/\n$/, '')
        .split('\n')
        .map((line, index) => (
          <span key={index} class={KINDS[line[0] ?? ''] ?? ''}>
            {line}
          </span>
        ))}
    </pre>
  )
}
