// A process for one client, so that neither its memory nor its CPU time is mixed up with another's: it imports the module
// that is named to it and runs a round of its task for each message.
const [module, options] = process.argv.slice(2)
const { start } = await import(module)
const task = await start(JSON.parse(options))
process.on('message', async (round) => {
  if (round === 'stop') {
    await task.stop?.()
    process.disconnect()
  } else {
    process.send({ value: await task.round(round) })
  }
})
process.on('disconnect', () => process.exit())
process.send('ready')
