'use strict'

const { existsSync } = require('node:fs')
const { delimiter, join } = require('node:path')

const { chromium } = require('playwright-core')

const { install } = require('../lib/cli/debian.js')

const NAMES = ['chromium', 'chromium-browser', 'google-chrome']
const ELSEWHERE = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
  'C:\\Program Files (x86)\\Google\\Chrome\\Application\\chrome.exe',
]
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** A real browser without a window, with a profile of its own; installed first where Debian's packages can be. */
async function startBrowser() {
  return chromium.launch({ executablePath: find() ?? (await installed()), args: FLAGS })
}

function find() {
  const folders = (process.env.PATH ?? '').split(delimiter)
  const candidates = [...NAMES.flatMap((name) => folders.map((folder) => join(folder, name))), ...ELSEWHERE]
  return candidates.find((path) => existsSync(path))
}

async function installed() {
  await install('chromium')
  return find()
}

module.exports = { startBrowser }
