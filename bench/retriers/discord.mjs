import { REST } from '@discordjs/rest'

export const name = 'discord.js rest'

export async function post(url) {
  const rest = new REST({ api: url, version: '10' })
  await rest.post('/messages', { auth: false, body: { text: 'hi' } })
}
