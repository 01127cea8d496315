/** What the page weighs, and that a strict policy for contents can hold. */

import { join } from 'node:path'
import t from 'tap'
import { formatsOf } from '../../daemon/web/page/texts/formats.ts'
import { texts } from '../../daemon/web/page/texts/texts.ts'
import { bundlePage } from '../../scripts/web-page.ts'

const MOST_BYTES = 80 * 1024

t.test('the whole page is at most 80 KB, compressed', async t => {
  const files = await bundlePage(join(import.meta.dirname, '../..'))
  const compressed = [...files].filter(([name]) => name.endsWith('.gz'))
  const bytes = compressed.reduce((sum, [, content]) => sum + content.length, 0)
  t.ok(bytes <= MOST_BYTES, `${bytes} bytes`)
  t.equal(compressed.length * 2, files.size, 'each file is there twice')

  const html = String(files.get('index.html'))
  t.notMatch(html, /<style|\son\w+=|\sstyle=|<script(?![^>]* src=)/, 'nothing is inline')
  for (const [, address = ''] of html.matchAll(/(?:src|href)="([^"]*)"/g)) {
    t.ok(files.has(address), `${address} is a file beside the page`)
  }
  const style = [...files].find(([name]) => name.endsWith('.css'))?.[1] ?? ''
  t.notMatch(String(style), /url\(|@import/, 'the style sheet loads nothing')
})

t.test('no text is empty in any language', async t => {
  const look = (value: unknown, path: string): void => {
    if (typeof value === 'string') t.not(value.trim(), '', path)
    else if (typeof value === 'object' && value !== null) {
      for (const [name, part] of Object.entries(value)) look(part, `${path}.${name}`)
    } else t.type(value, 'function', path)
  }
  look(texts.en, 'en')
  look(texts.de, 'de')
})

t.test('numbers and countries are written as the reader writes them', async t => {
  t.equal(formatsOf('en').number(1234567), '1,234,567')
  t.equal(formatsOf('de').number(1234567), '1.234.567')
  t.equal(formatsOf('de').country('AT'), 'Österreich')
  t.equal(formatsOf('en').country('<b>'), '<b>', 'what is no code stays as it is')
  t.equal(formatsOf('en').bytes(1_500_000), '1.5 MB')
  t.equal(formatsOf('en').time('never'), 'never')
})
