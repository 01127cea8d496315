/**
 * Expressions mean what they mean to Perl, or are a mistake at load: a table of patterns × texts is
 * put to a real perl as well.
 */

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { compilePattern } from '../../daemon/text/pattern.ts'
import { runs } from '../support/fuzz.ts'

const PERL = '/usr/bin/perl'
const skip = existsSync(PERL) ? false : `there is no ${PERL}`

/** Each line is a pattern and a text in hexadecimal; the answer is 1, 0, or E for a mistake. */
const PROGRAM = `
no warnings;
my %compiled;
while (my $line = <STDIN>) {
  chomp $line;
  my ($pattern, $text) = map { my $s = pack('H*', $_); utf8::decode($s) if $ARGV[0]; $s } split / /, $line, 2;
  $compiled{$pattern} //= eval { qr/$pattern/ } // 'E';
  my $re = $compiled{$pattern};
  my $found = ref $re ? eval { $text =~ $re ? '1' : '0' } : undef;
  print $found // 'E', "\\n";
}
`

type Row = readonly [pattern: string, text: string]
type Outcome = '1' | '0' | 'E'

function perl(rows: readonly Row[], isText = false): string[] {
  const hex = (text: string): string => Buffer.from(text).toString('hex')
  const input = rows.map(([pattern, text]) => `${hex(pattern)} ${hex(text)}\n`).join('')
  const { stdout, status, stderr } = spawnSync(PERL, ['-e', PROGRAM, isText ? '1' : '0'], {
    input,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  })
  if (status !== 0) throw new Error(stderr)
  return stdout.trim().split('\n')
}

function ours([pattern, text]: Row): Outcome {
  try {
    return compilePattern(pattern).test(text) ? '1' : '0'
  } catch (error) {
    if (error instanceof SyntaxError) return 'E'
    throw error
  }
}

const TEXTS = [
  '',
  'a',
  'b',
  'ab',
  'aab',
  'aaa',
  'aaab',
  'abc',
  'ABC',
  'aBc',
  'abab',
  'aa',
  'a\n',
  'a\nb',
  'a\nb\n',
  '\n',
  'a\r\nb',
  'a b',
  'a\tb',
  'a\u000bb',
  'a-b',
  'a.b',
  'a1',
  '12',
  'x{41}',
  'AAA',
  'z',
  'Z',
  'Q',
  'h',
  'pL',
  '\u0007',
  '\u001b',
  '\u0008',
  'a{,2}',
  'a{x}',
  'dsl-1.example.org',
  'mail@example.org',
  '[a]',
  'a]',
  'a^',
  'a\\b',
  'a#b',
  'foo.bar',
  '_',
  '$',
  'e',
  'a+',
]

/** By what they are about. */
const PATTERNS = [
  // Places.
  ...[
    '^a$',
    'a$',
    '^$',
    '$',
    '\\Aa\\z',
    'a\\z',
    'a\\Z',
    '\\A',
    '\\z',
    '\\Z',
    '^b',
    '(?m)^b',
    '(?m)a$',
  ],
  ...[
    '(?m)^$',
    '(?m)b$',
    '(?m)^',
    'a$b',
    'a$\\nb',
    '\\Gab',
    'a\\Kb',
    '^a\\Kb$',
    '\\bb',
    '\\Bb',
    'a\\b',
    '^?b',
    '(?:^)+a',
  ],
  ...[
    '(?m)\\Aa$',
    '(?m)^b\\z',
    'a$|b',
    '(a$)',
    '(?=a$)a',
    '(?<=\\n)b',
    '(?<!a)b',
    '(?<=a)b',
    '$\\n',
    'a\\n$',
  ],
  // The dot, and sets.
  ...[
    '.',
    'a.b',
    '(?s)a.b',
    '^.$',
    '^.+$',
    '(?s)^.+$',
    '\\N',
    '^\\N+$',
    'a\\sb',
    'a\\Sb',
    'a\\hb',
    'a\\Hb',
    'a\\vb',
    'a\\Vb',
  ],
  ...[
    '\\R',
    'a\\Rb',
    '^\\w+$',
    '\\W',
    '^\\d+$',
    '\\D',
    '[\\s]',
    '[\\S]',
    '[^\\s]',
    '[\\d-]',
    '[\\w.-]+',
    '[\\h]',
    '[\\v]',
    '[^\\v]',
    '[\\R]',
  ],
  ...[
    '[[:alpha:]]',
    '[[:^alpha:]]',
    '[[:digit:]]',
    '^[[:word:]]+$',
    '[[:punct:]]',
    '[[:space:]]',
    '[[:blank:]]',
    '[[:cntrl:]]',
  ],
  ...[
    '[[:upper:]]',
    '[[:lower:]]',
    '[[:xdigit:]]',
    '[[:print:]]',
    '[[:graph:]]',
    '[[:ascii:]]',
    '[[:alnum:]_]',
    '[[:nothing:]]',
    '[[=a=]]',
    '[[.a.]]',
  ],
  ...[
    '[:alpha:]',
    '[]a]',
    '[^]a]',
    '[a-]',
    '[-a]',
    '[a\\-b]',
    '[a^]',
    '[\\^a]',
    '[\\]]',
    '[[]',
    '[z-a]',
    '[a-\\d]',
    '[a',
    '[]',
    '[^]',
    '[\\b]',
    '[$]',
    '[.]',
    '[a-b-c]',
    '[.-]static[[.-]',
    '[[.-]b[a.]',
    '[[:alpha]',
    '[[=]',
    '[\\\\]',
    '[#]',
    '[/]',
    '[|]',
    '[(]',
  ],
  ...[
    '\\p{L}',
    '\\p{Lu}',
    '\\P{L}',
    '\\pL',
    '\\PL',
    '\\p{Alpha}',
    '\\p{IsAlpha}',
    '\\p{Latin}',
    '\\p{^Lu}',
    '[\\p{Lu}\\d]',
    '\\p{PosixAlpha}',
    '\\p{Nothing}',
    '\\p{Digit}',
    '\\p{Script=Latin}',
    '\\p{Uppercase}',
    '\\p',
  ],
  // Characters by number or name.
  ...[
    '\\x{41}',
    '\\x41',
    '\\x4',
    '\\x',
    '\\x{}',
    '\\x{041}',
    '\\x{ 41 }',
    '[\\x{41}]',
    '[\\x41-\\x43]',
    '\\o{101}',
    '\\101',
    '\\0',
    '\\012',
    '\\07',
    '\\N{U+41}',
    '\\cG',
    '\\c[',
    '\\cg',
    '\\a',
    '\\e',
    '\\t',
    '\\n',
    '\\f',
    '[\\a\\e]',
    '[\\101]',
    '[\\1]',
    '\\x{110000}',
    '\\xzz',
  ],
  // Quoting, and letters that mean nothing.
  ...[
    '\\Qa.b\\E',
    'a\\Q.',
    '\\Ua',
    '\\La',
    '\\ua',
    '\\la',
    '\\E',
    '\\y',
    '\\z+',
    '\\i',
    '\\j',
    '\\_',
    '\\-',
    '\\/',
    '\\@',
    '\\#',
    '\\<',
    '\\ ',
    '\\',
    'a\\',
    '\\X',
    '\\C',
    '\\F',
    '\\M',
    '\\O',
    '\\Y',
  ],
  // Groups and references.
  ...[
    '(a)\\1',
    '(a)\\g1',
    '(a)\\g{1}',
    '(a)\\g{-1}',
    '(a)\\g-1',
    '(a)(b)\\g{-2}',
    '(?<n>a)\\k<n>',
    "(?'n'a)\\k'n'",
    '(?<n>a)\\k{n}',
    '(?P<n>a)(?P=n)',
    '(?<n>a)\\g{n}',
    '(?<n>a)\\1',
    '\\1',
    '\\1(a)',
    '(a)\\2',
    '(a)?\\1b',
    '(a|b)\\1',
    '(?:(a)|b)\\1',
    '(a\\1)',
    '(?:(a)|b)*\\1',
    '((a)\\2)',
    '(a)\\10',
    '(a)\\18',
    '(a)\\11',
    '(?<n>a)(?<n>b)',
    '\\k<n>',
    '(?P>n)',
    '(?&n)',
    '(?R)',
    '(?1)',
    '(a)(?1)',
    '(?|(a)|(b))',
    '(?:a)',
    '(?:a',
    'a)',
    '(',
    ')',
    '()',
    '(|a)b',
    '(a|)b',
    '(?!(a))\\1',
    '(?!a)b',
    '(?i)(a)\\1',
    '(?i:(a)\\1)b',
    '(?=(a))\\1',
    '(a(b)?)+\\2',
    '(a)(?:\\1)*b',
    '(?<!(a))b',
    '(?<=(a))\\1',
    '(a)(?<=\\1)b',
    '(?:(a))?\\1',
    '(?:(a)){0}b',
    '(?:(a)){2}\\1',
  ],
  ...[
    '(?>a+)b',
    '(?>a+)ab',
    '(?>a|ab)c',
    '(?>(a)b)',
    '(?>(a))\\1',
    '((?>a+))b',
    '(?(1)a|b)',
    '(a)?(?(1)b|c)',
    '(?{1})',
    '(??{1})',
    '(?#comment)a',
    'a(?#comment)+',
    'a(?#',
    '(*FAIL)',
    '(*ACCEPT)a',
    'a(*PRUNE)b',
    '(*pla:a)a',
    '(?<a',
    '(?<>a)',
    '(?<1>a)',
    '(?P{a})',
    '(?/a)',
    '(?a',
    '(?',
  ],
  // Flags.
  ...[
    '(?i)abc',
    '(?i:a)bc',
    'a(?i:B)c',
    '(?i)a(?-i)BC',
    '(?i)[a-b]+c',
    'a(?i)BC',
    'a(?i)x|BC',
    '(a(?i)b)C',
    '(?^i)abc',
    '(?^:abc)',
    '(?i)(?^:abc)',
    '(?i-s)ABC',
    '(?x) a b',
    '(?x) a # b\n b',
    '(?x)a\\ b',
    '(?x)[ ]',
    '(?xx)[ a ]b',
    '(?x: a ) b',
    '(?n)(a)b',
    '(?n)(a)\\1',
    '(?n)(?<x>a)\\k<x>',
    '(?a)a',
    '(?aa)a',
    '(?u)a',
    '(?l)a',
    '(?d)a',
    '(?p)a',
    '(?q)a',
    '(?is)a.B',
    '(?im)^B',
    '(?-i)a',
    '(?i)\\x61b',
    '(?i)[^a]',
    '(?i:[^b])b',
    '(?i:\\x41)b',
    '(?i)[[:upper:]]',
    '(?i)\\p{Lu}b',
    '(?m-s)a.b',
    '(?i)[Z-a]',
    '(?i:[Z-a])1',
    '(?x)a{2}',
    '(?x)a +',
    '(?x)a{ 2 }',
    '(?x)\\ ',
  ],
  // How often.
  ...[
    'a*',
    'a+b',
    'a?b',
    'a{2}',
    'a{2,}',
    'a{2,3}b',
    'a{,2}b',
    '^a{,2}$',
    'a{ 1, 2 }b',
    'a{x}',
    'a{',
    'a{,}',
    '{',
    '{2}',
    '}',
    'a{2',
    'a{2,x}',
    'a{0}b',
    'a{3,2}',
    'a**',
    'a+*',
    'a{2}{2}',
    'a{2}+',
    '^a++b',
    '^a++ab',
    '^a*+a',
    'a?+ab',
    '^a{1,2}+a',
    '^(?:ab)*+$',
    '^(ab)*+$',
    '(a)*+b',
    '(a)++\\1',
    'a*?b',
    'a+?',
    'a??b',
    '^a{1,2}?$',
    '*a',
    '+',
    '?',
    '(*a)',
    '(|*)',
    'a|*',
    '^*',
    '^*a',
    '\\b+a',
    '$+',
    '(?=a)*b',
    '(?=a)+a',
    '(a*)*b',
    '(a*)+$',
    '(a|ab)(c|bcd)*',
    '^(?:|a)+$',
    '(?:a?)*?b',
    '^(?:a?b?)*$',
    '\\d{1,3}',
    'a{00002}',
    'a{70000}',
  ],
  // As people write them.
  ...[
    '^dsl-',
    '\\.example\\.(com|org)$',
    '^[^@]+@example\\.(?:com|org)$',
    '(?i)^MAIL@',
    '^(?:\\d{1,3}[.-]){3}',
    '\\bdsl\\b',
    '^[\\w.+-]+@([\\w-]+\\.)+\\w+$',
    'foo\\.bar',
    'foo.bar',
    '[0-9]+\\.',
    '^(?!mail)',
    '^\\S+@\\S+$',
    '@(?:[a-z0-9-]+\\.)+[a-z]{2,}$',
    '(?i)example\\.ORG\\z',
  ],
]

/** Perl refuses these and they mean here what they seem to mean; or a newer Perl reads them so. */
const MORE_THAN_PERL = new Set(['a{70000}', '[a-\\d]', 'a{00002}', '(?u)a'])

/** What Perl knows, and is not translated. */
const NOT_TRANSLATED = [
  '(*ACCEPT)a',
  '(*FAIL)',
  '(*pla:a)a',
  '(?!(a))\\1',
  '(?(1)a|b)',
  '(?:(a))?\\1',
  '(?:(a)|b)*\\1',
  '(?:(a)|b)\\1',
  '(?<n>a)(?<n>b)',
  '(?i:(a)\\1)b',
  '(?l)a',
  '(?u)a',
  '(?xx)[ a ]b',
  '(?|(a)|(b))',
  '(a(b)?)+\\2',
  '(a)(?1)',
  '(a)?(?(1)b|c)',
  '(a)?\\1b',
  '(a\\1)',
  '[\\R]',
  '[a-\\d]',
  '\\1(a)',
  '\\E',
  '\\F',
  '\\La',
  '\\Qa.b\\E',
  '\\Ua',
  '\\X',
  '\\la',
  '\\ua',
  '\\x{110000}',
  'a(*PRUNE)b',
  'a\\Q.',
  'a{3,2}',
]

t.test('no silent disagreement with Perl', { skip }, async t => {
  const rows = PATTERNS.flatMap(pattern => TEXTS.map((text): Row => [pattern, text]))
  t.ok(rows.length > 300, `${rows.length} rows`)
  const theirs = perl(rows)
  const refusedHere = new Set<string>()
  let same = 0
  for (const [index, row] of rows.entries()) {
    const [pattern, text] = row
    const here = ours(row)
    const there = theirs[index]
    if (here === there) same++
    else if (here === 'E') refusedHere.add(pattern)
    else if (!MORE_THAN_PERL.has(pattern)) {
      t.fail(`${pattern} on ${JSON.stringify(text)}: here ${here}, in Perl ${there}`)
    }
  }
  t.ok(same > 10_000, `${same} rows are decided alike`)
  t.strictSame([...refusedHere].toSorted(), NOT_TRANSLATED.toSorted(), 'what is a mistake at load')
})

t.test('beyond ASCII', { skip }, async t => {
  const texts = [
    '\u00e9',
    '\u263a',
    'x\u00a0y',
    '\u2028',
    '\u0394',
    '\u00df',
    'a\u20dd',
    '\u{1f600}',
    'A',
  ]
  const patterns = [
    ...[
      '\\x{263a}',
      '\\x{e9}',
      '\\xe9',
      '[\\x{e9}-\\x{ff}]',
      '\\N{U+263A}',
      '\\p{Greek}',
      '\\p{L}',
      '\\P{L}',
      '\\p{Ll}',
    ],
    ...[
      '(?a)\\w',
      '(?a)\\s',
      '\\h',
      '\\v',
      '\\R',
      '\\x{1f600}',
      '(?a)[[:alpha:]]',
      '\u00e9',
      '[\u00e9\u263a]',
      '.',
      '\\p{M}',
    ],
  ]
  const rows = patterns.flatMap(pattern => texts.map((text): Row => [pattern, text]))
  const theirs = perl(rows, true)
  const different = rows.flatMap((row, index) => {
    const here = ours(row)
    const text = [...row[1]].map(one => `U+${one.codePointAt(0)?.toString(16)}`).join(' ')
    return here === theirs[index]
      ? []
      : `${row[0]} on ${text}: here ${here}, in Perl ${theirs[index]}`
  })
  t.strictSame(different, [])
})

const PIECES = [
  ...[
    'a',
    'b',
    '.',
    '^',
    '$',
    '\\b',
    '\\d',
    '\\w',
    '\\s',
    '[ab]',
    '[^a]',
    '(',
    ')',
    '(?:',
    '|',
    '*',
    '+',
    '?',
    '++',
    '*?',
  ],
  ...[
    '{2}',
    '{,2}',
    '{1,}',
    '\\1',
    '(?i)',
    '(?-i)',
    '(?=',
    '(?!',
    '(?>',
    '\\z',
    '\\Z',
    '\\A',
    '\\n',
    '(?m)',
    '\\x{62}',
    '[[:alpha:]]',
  ],
]

t.test('random expressions, too', { skip }, async t => {
  const table: Row[] = []
  const pieces = fc.array(fc.constantFrom(...PIECES), { minLength: 1, maxLength: 7 })
  for (const pattern of fc
    .sample(pieces, { numRuns: runs(2000), seed: 7 })
    .map(one => one.join(''))) {
    for (const text of ['', 'a', 'ab', 'aab', 'bA', 'a\n', 'b\nab', 'a b', '1'])
      table.push([pattern, text])
  }
  const theirs = perl(table)
  let decided = 0
  for (const [index, row] of table.entries()) {
    const here = ours(row)
    if (here === 'E') continue
    decided++
    if (here !== theirs[index]) {
      t.fail(`${row[0]} on ${JSON.stringify(row[1])}: here ${here}, in Perl ${theirs[index]}`)
    }
  }
  t.ok(decided > table.length / 10, `${decided} of ${table.length} rows`)
})
