// What the clients send to: the simulator without quota and latency in a process of its own; nginx, where it is installed.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import { startServer } from './harness.mjs'

const FIXTURES = new URL('../__test__/http/fixtures/', import.meta.url)
const CA = fileURLToPath(new URL('ca.pem', FIXTURES))
const ANSWER = JSON.stringify({ id: '5f43f4e6-0b2f-4a38-90a5-0d0b1c6b7a11' })

/** `{ url, stop() }` of a simulator. */
export const plain = () => startServer({})

/** The same over TLS on loopback, with the certificate authority's file. */
export async function tls() {
  const file = (name) => readFileSync(new URL(name, FIXTURES), 'utf8')
  const server = await startServer({ tls: { cert: file('localhost.pem'), key: file('localhost.key') } })
  return { ...server, url: server.url.replace('127.0.0.1', 'localhost'), ca: CA }
}

/** One worker of nginx that answers at once; undefined where it isn't installed. */
export async function nginx() {
  if (spawnSync('nginx', ['-v']).error !== undefined) return undefined
  const folder = mkdtempSync(path.join(os.tmpdir(), 'spillway-nginx-'))
  const port = await freePort()
  writeFileSync(path.join(folder, 'nginx.conf'), configuration(folder, port))
  const child = spawn('nginx', ['-p', folder, '-c', 'nginx.conf', '-e', 'stderr'], { stdio: 'ignore' })
  await listens(port)
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      const ended = once(child, 'exit')
      child.kill('SIGQUIT')
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function configuration(folder, port) {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`)
  return `
    worker_processes 1; daemon off; pid ${folder}/pid; error_log stderr crit;
    events { worker_connections 1024; }
    http {
      access_log off; keepalive_requests 1000000000; default_type application/json; ${temporary.join(' ')}
      server { listen 127.0.0.1:${port}; location / { return 200 '${ANSWER}'; } }
    }`
}

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

async function listens(port) {
  for (let attempt = 0; attempt < 100; attempt++) {
    const socket = net.connect(port, '127.0.0.1')
    const connected = await Promise.race([
      once(socket, 'connect').then(
        () => true,
        () => false,
      ),
      sleep(1_000, false),
    ])
    socket.destroy()
    if (connected) return
    await sleep(20)
  }
  throw new Error('nginx does not listen')
}
