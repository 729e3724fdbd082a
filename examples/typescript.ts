// Node 24 runs this file as it is: node examples/typescript.ts    Older versions: compile it with tsc first.
import { DeliveryError, ExpiredError, Sender, Simulator, type Message, type Receipt } from 'spillway'

interface ChatBody {
  text: string
  seq: number
}

function chat(conversationId: string, seq: number, text: string): Message & { body: ChatBody } {
  return { conversationId, body: { text, seq }, expiresInMs: 30_000 }
}

async function deliver(sender: Sender, message: Message): Promise<Receipt | null> {
  try {
    return await sender.send(message, { signal: AbortSignal.timeout(20_000) })
  } catch (error) {
    if (error instanceof DeliveryError) {
      console.error(`${error.messageId}: ${error.code}, status ${error.status}, after ${error.attempts} attempts`)
    } else if (error instanceof ExpiredError) {
      console.error('nobody waits for this message any more')
    } else {
      throw error
    }
    return null
  }
}

async function main(): Promise<void> {
  await using simulator = await Simulator.start({
    quota: { requests: 50, perMs: 1_000, algorithm: 'sliding-log' },
    faults: { status503: 0.1 },
  })
  await using sender = await Sender.open({
    organization: 'acme',
    apiUrl: simulator.url,
    loginUrl: simulator.url,
    credentials: { clientId: 'typescript', clientSecret: 'not-a-secret' },
    route: 'messaging',
    store: 'memory',
    rateLimit: { requests: 50, perMs: 1_000 },
  })

  const texts = ['Guten Tag', 'こんにちは', 'שלום', 'Добрий день', '👋🏾']
  const receipts = await Promise.all(texts.map((text, seq) => deliver(sender, chat('c1', seq, text))))
  const delivered = receipts.filter((receipt): receipt is Receipt => receipt !== null)
  console.log(`${delivered.length} of ${texts.length} delivered`)
}

void main()
