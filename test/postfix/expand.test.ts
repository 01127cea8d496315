// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are Postfix's templates, not ours.
/** `$name` in values: compares our expansion with Postfix's own (`postconf -x`). */

import fs from 'node:fs'
import path from 'node:path'
import t from 'tap'
import {
  compareLevels,
  expand,
  expansionMistake,
  namesIn,
} from '../../daemon/postfix/smtpd/expand.ts'
import { runProgram } from '../../daemon/system/external-program.ts'
import { postfixRigMissing } from '../support/postfix-rig.ts'

const VALUES: Readonly<Record<string, string>> = {
  compatibility_level: '3.6',
  config_directory: '/nowhere',
  one: '1',
  ten: '10',
  word: 'text',
  blanks: 'a  b',
  empty: '',
  outer: 'x $inner y',
  inner: '${word}',
  to_nothing: '$nobody',
  braces: '{a}',
  loop_a: '$loop_b',
  loop_b: 'x $loop_a',
  self: '$self',
  dollar: 'a$$b',
  colon: 'a:b',
  UPPER_1: 'upper',
}
const lookup = (name: string) => VALUES[name]

/** The text and its expansion; undefined: a mistake. */
const CASES: readonly (readonly [string, string | undefined])[] = [
  ['plain', 'plain'],
  ['$word', 'text'],
  ['a$word', 'atext'],
  ['$word.x', 'text.x'],
  ['$word-$one', 'text-1'],
  ['${word}x', 'textx'],
  ['$(word)x', 'textx'],
  ['${ word }x', 'textx'],
  ['$UPPER_1', 'upper'],
  ['$nobody', ''],
  ['x${nobody}y', 'xy'],
  ['$outer', 'x text y'],
  ['$to_nothing', ''],
  ['$$word', '$word'],
  ['a$$', 'a$'],
  ['$$$word', '$text'],
  ['$dollar', 'a$b'],
  ['${word?yes}', 'yes'],
  ['${empty?yes}', ''],
  ['${nobody?yes}', ''],
  ['${word:no}', ''],
  ['${empty:no}', 'no'],
  ['${nobody:no}', 'no'],
  ['${word?$one$ten}', '110'],
  ['${word?{$one}}', '1'],
  ['${word?{ $one }}x', ' 1 x'],
  ['${word? {$one} }x', '1x'],
  ['${word?{a}:{b}}', 'a'],
  ['${nobody?{a}:{b}}', 'b'],
  ['${nobody?{a}:b}', 'b'],
  ['${nobody?{a} : {b} }', 'b'],
  ['${word?a:b}', 'a:b'],
  ['${nobody?a:b}', ''],
  ['${word??x}', '?x'],
  ['${word?x{y}z}', 'x{y}z'],
  ['${word ? {a} : {b}}', 'a'],
  ['${word?}', ''],
  ['${nobody:}', ''],
  ['${nobody:{}}', ''],
  ['${word?{${nobody?{a}:{b}}}}', 'b'],
  ['$(word?{a})', 'a'],
  ['${to_nothing?yes}', 'yes'],
  ['${{$one} == {1} ? {a} : {b}}', 'a'],
  ['${{$one} != {1} ? {a} : {b}}', 'b'],
  ['${{$one}=={1}?{a}:{b}}', 'a'],
  ['${{$ten} > {9} ? {a} : {b}}', 'a'],
  ['${{$ten} < {9} ? {a} : {b}}', 'b'],
  ['${{$ten} >= {10} ? {a}}', 'a'],
  ['${{$ten} <= {9} ? {a}}', ''],
  ['${{$ten} <= {9} : {a}}', 'a'],
  ['${{b10} < {b9} ? {a} : {b}}', 'a'],
  ['${{ 1 } == {1} ? {a} : {b}}', 'b'],
  ['${{$word} == {text}}', 'true'],
  ['${{$word} == {no}}', ''],
  ['${{$nobody} == {} ? {a} : {b}}', 'a'],
  ['${{$compatibility_level} <level {3.6} ? {no} : {yes}}', 'yes'],
  ['${{$compatibility_level} <level {3.10} ? {no} : {yes}}', 'no'],
  ['${{$compatibility_level} >=level {3} ? {no} : {yes}}', 'no'],
  ['${{3.6.1} >level {3.6} ? {a} : {b}}', 'a'],
  ['${{3.6} ==level {3.6.0} ? {a} : {b}}', 'a'],
  ['$', undefined],
  ['a $', undefined],
  ['$ word', undefined],
  ['$-x', undefined],
  ['${}', undefined],
  ['$()', undefined],
  ['${word', undefined],
  ['$(word', undefined],
  ['${word)', undefined],
  ['${a-b}', undefined],
  ['${a b}', undefined],
  ['${word?{a}', undefined],
  ['${word?{a}b}', undefined],
  ['${word?{a}:{b}c}', undefined],
  ['${word:{a}:{b}}', undefined],
  ['${{a} = {b} ? {x}}', undefined],
  ['${{a} == b ? {x}}', undefined],
  ['${{a} == {b} {x}}', undefined],
  ['${{a} {b}}', undefined],
  ['${{a}}', undefined],
  ['${{1} <size {2} ? {x}}', undefined],
  ['${{x} <level {2} ? {x}}', undefined],
  ['${{} <level {2} ? {x}}', undefined],
  ['$loop_a', undefined],
  ['$self', undefined],
]

t.test('as the manual says', async t => {
  for (const [text, expected] of CASES) {
    const mistake = expansionMistake(text, lookup)
    if (expected === undefined) t.type(mistake, 'string', `${text} is a mistake`)
    else {
      t.equal(mistake, undefined, text)
      t.equal(expand(text, lookup), expected, text)
    }
  }
})

t.test('the same as Postfix', { skip: postfixRigMissing() }, async t => {
  const top = t.testdir()
  const others = Object.entries(VALUES).filter(([name]) => name !== 'config_directory')
  const rest = others.map(([name, value]) => `${name} = ${value}\n`).join('')
  /** What `postconf -x` returns for these; it is slow to give up. */
  const postconf = async (name: string, texts: readonly string[]) => {
    const directory = path.join(top, name)
    fs.mkdirSync(directory)
    fs.writeFileSync(path.join(directory, 'master.cf'), '')
    const names = texts.map((_, at) => `case_${at}`)
    // postconf does not show a name that Postfix does not use, not even as a restriction class.
    const classes = `smtpd_restriction_classes = ${names.join(' ')}\n`
    const lines = texts.map((text, at) => `case_${at} = |${text}|\n`).join('')
    const file = path.join(directory, 'main.cf')
    fs.writeFileSync(file, `${rest}${classes}${lines}`)
    // Postfix's programs wait while a file was written in the current second.
    fs.utimesSync(file, new Date(0), new Date(0))
    return runProgram(['postconf', '-c', directory, '-x', ...names])
  }
  const good = CASES.filter(([, expected]) => expected !== undefined).map(([text]) => text)
  const { stdout } = await postconf('good', good)
  const expected = good.map((text, at) => `case_${at} = |${expand(text, lookup)}|`)
  t.strictSame(stdout.trimEnd().split('\n'), expected)
  const bad = CASES.filter(([, result]) => result === undefined).map(([text]) => text)
  const finished = await Promise.all(bad.map((text, at) => postconf(`bad-${at}`, [text])))
  for (const [at, { status, stderr }] of finished.entries()) {
    t.not(status, 0, `postconf gives up at ${bad[at]}`)
    t.match(stderr, /fatal/, `${bad[at]}: it reports that`)
  }
})

t.test('what a value depends on, directly or indirectly', async t => {
  t.strictSame([...namesIn('$outer', lookup)].sort(), ['inner', 'outer', 'word'])
  t.strictSame([...namesIn('${nobody?{$word}:{$one}}', lookup)].sort(), ['nobody', 'one'])
  t.strictSame([...namesIn('${{$ten} == {1} ? {$word}}', lookup)], ['ten'])
})

t.test('compatibility levels are not decimal fractions', async t => {
  const levels = ['0', '1', '2', '3', '3.5', '3.5.99', '3.6', '3.6.1', '3.9', '3.10', '4']
  for (const [at, level] of levels.entries()) {
    for (const [other, later] of levels.entries()) {
      t.equal(Math.sign(compareLevels(level, later)), Math.sign(at - other), `${level}, ${later}`)
    }
  }
  t.equal(compareLevels('3', '3.0.0'), 0)
})
