'use strict'

const { execFile, spawn } = require('node:child_process')
const { once } = require('node:events')
const { mkdtempSync, readdirSync, rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { promisify } = require('node:util')

const { freePort } = require('../lib/cli/local-redis.js')
const { cached } = require('./cached.js')
const { apt } = require('../lib/cli/debian.js')

const run = promisify(execFile)
const PORTS_TRIED_MAX = 5

/** How to call `prometheus` or `promtool`: that of the PATH, else from Debian's package, which is unpacked but not installed: its service must not start. */
async function programOf(name) {
  try {
    await run(name, ['--version'])
    return name
  } catch {
    return path.join(await cached('prometheus', fetch), 'usr/bin', name)
  }
}

async function fetch(folder) {
  try {
    const download = () => apt(['download', 'prometheus'], { cwd: folder })
    await download().catch(async () => {
      await apt(['update'])
      await download()
    })
    const [archive] = readdirSync(folder)
    await run('dpkg-deb', ['--extract', path.join(folder, archive), folder])
  } catch (cause) {
    throw new Error("prometheus and promtool are needed on the PATH, and fetching Debian's did not work", { cause })
  }
}

/** What `promtool` says; an error with its output if it fails. */
async function promtool(...args) {
  const { stdout, stderr } = await run(await programOf('promtool'), args)
  return stdout + stderr
}

/**
 * A Prometheus on a free port of this machine that scrapes `target` (`HOST:PORT`) five times a second and evaluates these files of rules: `{ api(path), stop() }`.
 */
async function startPrometheus({ target, rules = [] }) {
  const folder = mkdtempSync(path.join(tmpdir(), 'spillway-prometheus-'))
  const config = {
    global: { scrape_interval: '200ms', scrape_timeout: '200ms', evaluation_interval: '1s' },
    rule_files: rules,
    scrape_configs: [{ job_name: 'spillway', static_configs: [{ targets: [target] }] }],
  }
  // JSON is YAML.
  const file = path.join(folder, 'prometheus.yml')
  writeFileSync(file, JSON.stringify(config))
  const program = await programOf('prometheus')
  for (let tried = 1; ; tried++) {
    const address = `127.0.0.1:${await freePort()}`
    const args = [`--config.file=${file}`, `--storage.tsdb.path=${path.join(folder, 'data')}`, `--web.listen-address=${address}`]
    const server = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    const ended = once(server, 'exit')
    const stop = async () => {
      server.kill('SIGKILL')
      await ended
      rmSync(folder, { recursive: true, force: true })
    }
    const refusal = await ready(server)
    if (refusal === null) return { api: (query) => ask(`http://${address}/api/v1/${query}`), stop }
    // Another process may have taken the port since it was found free.
    if (refusal.includes('address already in use') && tried < PORTS_TRIED_MAX) continue
    await stop()
    throw new Error(`prometheus did not start: ${refusal}`)
  }
}

/** Null once it serves, else what it said instead. */
async function ready(server) {
  const READY = 'Server is ready to receive web requests'
  let log = ''
  for await (const chunk of server.stderr.iterator({ destroyOnReturn: false })) {
    log += chunk
    if (log.includes(READY)) break
  }
  // Nobody reads its later output, which must not block it.
  server.stderr.resume()
  return log.includes(READY) ? null : log
}

async function ask(url) {
  const response = await globalThis.fetch(url)
  const { status, data, error } = await response.json()
  if (status !== 'success') throw new Error(`${url}: ${error}`)
  return data
}

module.exports = { promtool, startPrometheus }
