/**
 * Countries from MaxMind's legacy "GeoIP Country" files (.dat), IPv4 and IPv6 edition, for
 * configurations that come from the original daemon.
 *
 * The file is a binary trie of nodes with two little-endian 3-byte records, from the highest bit
 * of the address down; a record of 16776960 or more is a leaf, and the excess is an index into a
 * fixed table of codes. The trie is followed by a text with the date, and by the edition. All
 * reachable nodes are checked at load. The format has been dead since 2019, and rebuilt files have
 * the date of their rebuild: `builtAt` does not tell the age of the data.
 */

import { parseIPv4, parseIPv6 } from '../net/address.ts'
import type { CountryTable } from './country-table.ts'

const COUNTRY_BEGIN = 16776960
const NODE_BYTES = 6
const EDITION_COUNTRY = 1
const EDITION_COUNTRY_V6 = 12
/** How far from the end the edition and the text may be. */
const EDITION_WITHIN = 20
const TEXT_WITHIN = 120

/** In MaxMind's order, which is part of the format. `--` is "no country". */
const CODES = (
  '-- AP EU AD AE AF AG AI AL AM CW AO AQ AR AS AT AU AW AZ BA BB BD BE BF BG BH BI BJ BM BN BO BR ' +
  'BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CX CY CZ DE DJ DK DM DO DZ EC EE ' +
  'EG EH ER ES ET FI FJ FK FM FO FR SX GA GB GD GE GF GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM ' +
  'HN HR HT HU ID IE IL IN IO IQ IR IS IT JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK ' +
  'LR LS LT LU LV LY MA MC MD MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG ' +
  'NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RU RW SA SB SC SD SE ' +
  'SG SH SI SJ SK SL SM SN SO SR ST SV SY SZ TC TD TF TG TH TJ TK TM TN TO TL TR TT TV TW TZ UA UG ' +
  'UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT RS ZA ZM ME ZW A1 A2 O1 AX GG IM JE BL MF BQ SS O1'
).split(' ')

/** Does the end of this file look like a legacy country database? */
export function isDat(file: Buffer): boolean {
  const edition = editionOf(file)
  return edition === EDITION_COUNTRY || edition === EDITION_COUNTRY_V6
}

export function readDat(file: Buffer): CountryTable {
  const edition = editionOf(file)
  const bits = edition === EDITION_COUNTRY_V6 ? 128 : 32
  const text = textOf(file)
  checkTree(file, text?.offset ?? file.length, bits)

  const codeAt = (bit: (depth: number) => number): string | undefined => {
    let node = 0
    for (let depth = 0; depth < bits; depth++) {
      const record = file.readUIntLE(node * NODE_BYTES + bit(depth) * 3, 3)
      if (record > COUNTRY_BEGIN) return CODES[record - COUNTRY_BEGIN]
      if (record === COUNTRY_BEGIN) return undefined
      node = record
    }
    return undefined
  }

  return {
    format: 'dat',
    builtAt: text?.date,
    description: text?.words ?? 'GeoIP Country',
    country(address) {
      if (bits === 32) {
        const ipv4 = parseIPv4(address)
        return ipv4 === undefined ? undefined : codeAt(depth => (ipv4 >>> (31 - depth)) & 1)
      }
      // The IPv6 edition holds IPv4 below ::/96.
      const groups = parseIPv6(address.includes(':') ? address : `::${address}`)
      if (groups === undefined) return undefined
      return codeAt(depth => ((groups[depth >> 4] ?? 0) >> (15 - (depth & 15))) & 1)
    },
  }
}

/** Three bytes 0xff, then the edition (105 higher in old files). Files without one are country editions. */
function editionOf(file: Buffer): number | undefined {
  for (let back = 4; back <= EDITION_WITHIN && back <= file.length; back++) {
    const at = file.length - back
    if (file.readUIntBE(at, 3) !== 0xffffff) continue
    const edition = file.readUInt8(at + 3)
    return edition >= 106 ? edition - 105 : edition
  }
  return textOf(file) ? EDITION_COUNTRY : undefined
}

/** `\0\0\0GEO-106FREE 20180403 Build 1 …` */
function textOf(
  file: Buffer,
): { offset: number; words: string; date: Date | undefined } | undefined {
  const from = Math.max(0, file.length - TEXT_WITHIN)
  const tail = file.subarray(from).toString('latin1')
  const found = /\0\0\0(GEO-106\w* (\d{4})(\d\d)(\d\d)[ -~]*)/.exec(tail)
  if (!found) return undefined
  const [, words = '', year, month, day] = found
  const date = new Date(`${year}-${month}-${day}T00:00:00Z`)
  return {
    offset: from + found.index,
    words: words.trim(),
    date: Number.isNaN(date.getTime()) ? undefined : date,
  }
}

/** Checks that every node an address can reach is inside the file. Leaves always are in the table: 256 codes, 256 values. */
function checkTree(file: Buffer, treeEnd: number, bits: number): void {
  const nodes = Math.floor(treeEnd / NODE_BYTES)
  const seen = new Uint8Array(nodes)
  const visit = (node: number, depth: number): void => {
    if (node >= nodes) throw new Error('the tree leaves the file: cut short or damaged')
    if (depth >= bits) throw new Error('the tree is deeper than an address: damaged')
    if (seen[node] === 1) return
    seen[node] = 1
    for (const side of [0, 3]) {
      const record = file.readUIntLE(node * NODE_BYTES + side, 3)
      if (record < COUNTRY_BEGIN) visit(record, depth + 1)
    }
  }
  visit(0, 0)
}
