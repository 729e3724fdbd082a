// Ends test files that hang, after telling what their threads wait for. node:test has no limit for a file that blocks its main
// thread or keeps its event loop alive, and shows only the files before it.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

const LOOK_EVERY_MS = 5_000

/** Looks after the test files that `runner` starts, until the result is called. Does nothing where there is no /proc. */
export function endHungFiles(runner, limitMs, say) {
  const firstSeen = new Map()
  const looking = setInterval(() => {
    const files = childrenOf(runner)
    for (const pid of firstSeen.keys()) if (!files.includes(pid)) firstSeen.delete(pid)
    for (const pid of files) {
      if (!firstSeen.has(pid)) firstSeen.set(pid, Date.now())
      if (Date.now() - firstSeen.get(pid) < limitMs) continue
      say(`${nameOf(pid)} did not end within ${limitMs / 60_000} minutes and is ended. Its processes and their threads:\n${report(pid)}`)
      for (const each of [...descendantsOf(pid), pid]) end(each)
    }
  }, LOOK_EVERY_MS)
  return () => clearInterval(looking)
}

function end(pid) {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

function report(pid) {
  return [pid, ...descendantsOf(pid)].flatMap((each) => [`${each} ${nameOf(each)}`, ...threadsOf(each), ...stacksOf(each)]).join('\n')
}

function threadsOf(pid) {
  return list(`/proc/${pid}/task`).map((thread) => {
    const of = (what) => read(`/proc/${pid}/task/${thread}/${what}`).trim()
    const state = /^State:\s+(\S)/m.exec(of('status'))?.[1]
    return `  ${thread} ${of('comm')}: ${state} in ${of('wchan')}, system call ${of('syscall').split(' ')[0]}`
  })
}

/** Where there is a debugger. */
function stacksOf(pid) {
  const { stdout } = spawnSync('gdb', ['-p', String(pid), '-batch', '-ex', 'thread apply all bt 24'], { encoding: 'utf8', timeout: 60_000 })
  return (stdout ?? '')
    .split('\n')
    .filter((line) => /^(Thread|#)/.test(line))
    .map((line) => `  ${line.slice(0, 200)}`)
}

const descendantsOf = (pid) => childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)])

const childrenOf = (pid) =>
  list(`/proc/${pid}/task`).flatMap((thread) => read(`/proc/${pid}/task/${thread}/children`).split(' ').filter(Boolean).map(Number))

const nameOf = (pid) => read(`/proc/${pid}/cmdline`).split('\0').filter(Boolean).slice(1).join(' ')

function read(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function list(path) {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}
