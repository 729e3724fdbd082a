// npm run soak: what the tests of the file store and the fuzz targets do in a minute, for an hour or so each.
// `npm run soak -- 0.1` is a tenth of it.
import { spawnSync } from 'node:child_process'

const share = Number(process.argv[2] ?? 1)
const seed = Math.floor(Math.random() * 2 ** 31)

function run(command, args, env) {
  console.log(
    `${Object.entries(env)
      .map(([name, value]) => `${name}=${value}`)
      .join(' ')} ${command} ${args.join(' ')}`,
  )
  const { status } = spawnSync(command, args, { stdio: 'inherit', env: { ...process.env, ...env } })
  if (status !== 0) process.exit(status ?? 1)
}

const cargo = ['test', '--package', 'spillway-core', '--profile', 'dev-release', '--locked']
run('cargo', [...cargo, '--test', 'restarts', '--', '--nocapture'], { SPILLWAY_SEEDS: String(Math.ceil(200_000 * share)) })
run('cargo', [...cargo, '--test', 'store', '--', 'a_damaged_file_opens_all_the_same', 'whatever_page_is_damaged'], {
  SPILLWAY_SEEDS: String(Math.ceil(20_000 * share)),
})
run(process.execPath, ['scripts/test.mjs', 'store/kill.test.js'], {
  SPILLWAY_KILL_ROUNDS: String(Math.ceil(3_000 * share)),
  SPILLWAY_SEED: String(seed),
  SPILLWAY_TEST_LIMIT_MS: String(2 * 3_600_000),
})
run(process.execPath, ['scripts/fuzz.mjs'], { SPILLWAY_FUZZ_SECONDS: String(Math.ceil(3_600 * share)) })
