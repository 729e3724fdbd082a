// Writes the license of each platform package: ours, and those of the crates that its addon is linked with, which ask for
// their text to go with copies.
//
//   node scripts/licenses.mjs npm/*     after `napi create-npm-dirs`
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const LICENSE_FILE = /^(licen[cs]e|copying|notice|unlicense)([-._].*)?$/i
const RULE = '-'.repeat(80)

const cargo = (...args) => execFileSync('cargo', args, { cwd: ROOT, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })

/** The crates that the addon is made of, on whatever platform; without what only builds or tests it, and without our own. */
function linked() {
  const { packages } = JSON.parse(cargo('metadata', '--format-version', '1', '--locked'))
  const tree = cargo(
    'tree',
    '--package',
    'spillway',
    '--edges',
    'normal',
    '--target',
    'all',
    '--prefix',
    'none',
    '--format',
    '{p}',
    '--locked',
  )
  const names = new Set(tree.split('\n').map((line) => line.split(' ').slice(0, 2).join(' ')))
  return packages
    .filter(({ name, version, source }) => source !== null && names.has(`${name} v${version}`))
    .sort((a, b) => a.name.localeCompare(b.name, 'en') || a.version.localeCompare(b.version, 'en'))
}

function textsOf({ manifest_path: manifest }) {
  const folder = dirname(manifest)
  const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile() && LICENSE_FILE.test(entry.name))
  return files.map(({ name }) => readFileSync(join(folder, name), 'utf8').trim()).filter((text) => text !== '')
}

/** Each text once, under the names of all that share it. */
function thirdParties() {
  const byText = new Map()
  for (const crate of linked()) {
    const { name, version, license, authors } = crate
    const texts = textsOf(crate)
    const own = `${name} ${version} (${license})`
    // Some packages leave the text out: their license and their authors are what they say.
    if (texts.length === 0) texts.push(`Licensed under ${license}, by ${authors.join(', ') || `the authors of ${name}`}.`)
    for (const text of texts) byText.set(text, [...(byText.get(text) ?? []), own])
  }
  return [...byText].map(([text, owners]) => `${RULE}\n${owners.join('\n')}\n${RULE}\n\n${text}\n`).join('\n')
}

const folders = process.argv.slice(2)
if (folders.length === 0) throw new Error('which packages? node scripts/licenses.mjs npm/*')
const own = readFileSync(join(ROOT, 'LICENSE'), 'utf8').trim()
const text = `${own}\n\nThe addon in this package contains the following software.\n\n${thirdParties()}`
for (const folder of folders) writeFileSync(join(folder, 'LICENSE'), text)
console.log(`LICENSE of ${text.length} bytes in ${folders.length} packages`)
