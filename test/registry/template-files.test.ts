import t from 'tap'
import {
  isGenerated,
  isMadeFrom,
  type TemplateFile,
  withHeader,
} from '../../daemon/registry/template-files.ts'

const template: TemplateFile = {
  name: 'etc/some.conf.hbs',
  file: '/templates/etc/some.conf.hbs',
  target: '/etc/some.conf',
  source: '{{var "mtpolicyd/threshold"}} {{#each (users "mtpolicyd/user/.*/threshold")}}{{/each}}',
}
const values = new Map([
  ['mtpolicyd/threshold', '1000'],
  ['mtpolicyd/user/alice/threshold', '5'],
  ['mtpolicyd/debug', '1'],
])
const text = withHeader(template, values, 'the body\n')

t.test('a rendered file shows what it was rendered from', async t => {
  const isStill = (changes: readonly [string, string][], source = template.source): boolean =>
    isMadeFrom(text, { ...template, source }, new Map([...values, ...changes]))
  t.ok(isStill([]))
  t.ok(
    isStill([['mtpolicyd/debug', '4']]),
    'a variable that the template does not use changes nothing',
  )
  t.notOk(isStill([['mtpolicyd/threshold', '1001']]))
  t.notOk(isStill([['mtpolicyd/user/alice/threshold', '6']]))
  t.notOk(isStill([['mtpolicyd/user/bob/threshold', '5']]), 'a new user')
  t.notOk(isStill([], `${template.source} `), 'another template')
  t.ok(isMadeFrom(text, template, new Map([...values].reverse())), 'in any order')
})

t.test('a rendered file that was edited is not ours any more', async t => {
  t.ok(isGenerated(text))
  t.notOk(isGenerated(text.replace('the body', 'The body')))
  t.notOk(isGenerated('the body\n'))
})
