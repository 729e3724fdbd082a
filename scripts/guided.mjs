// Whether the addon in place is the one that was built with a profile: figures say which build they are of.
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const MARK = path.join(ROOT, 'target/pgo/guided.sha256')

/** The addon in a folder, whatever its platform. */
export function addonFile(folder = ROOT) {
  return path.join(folder, readdirSync(folder).find((name) => /^spillway\..+\.node$/.test(name)) ?? 'spillway.node')
}

const hash = () => createHash('sha256').update(readFileSync(addonFile())).digest('hex')

/** The addon in place was built with a profile. */
export const markGuided = () => writeFileSync(MARK, hash())

export const isGuided = () => existsSync(MARK) && readFileSync(MARK, 'utf8') === hash()
