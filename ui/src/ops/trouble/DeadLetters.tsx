import { useState } from 'react'
import { Link } from 'wouter'

import { useObservable } from '../../lib/observable'
import { dateAndTime } from '../../lib/time'
import { Refused, usePoll, useReadOnly, useWrite } from '../api'
import { bytes } from '../format'
import { ActionButton, Badge, Confirm, Empty, Failure, Panel, Scroll } from '../kit/kit'
import { RecordLink } from '../kit/links'
import { shownProcess } from '../presence'
import { base64 } from '../produce/draft'

type Replay = { state: 'no' | 'yes' | 'unclear'; operator?: string; claimedAt?: number; copy?: string }
type Letter = { partition: number; offset: number; time: number; message: string; source: string; key: string | null; text?: string; base64?: string; bytes: number | null; orderId?: string; productId?: string; outcome?: string; replay: Replay; refused?: string }
type Group = { kind: string; topic: string | null; count: number; letters: Letter[] }
type Groups = { groups: Group[]; read: number }

/** Dead letters by reason; one that may be replayed has a form for its corrected value. */
export function DeadLetters() {
  const groups = usePoll<Groups>('/admin/dead-letters/groups', 5_000)
  return (
    <Panel title="Dead letters" note={groups.data && `${groups.data.read} newest read`} flush>
      <Failure error={groups.error} what="Dead letters" />
      {groups.data?.groups.length === 0 && <Empty>Every record could be used.</Empty>}
      {groups.data?.groups.map((group) => (
        <GroupView key={`${group.kind}/${group.topic}`} group={group} isAlone={groups.data?.groups.length === 1} />
      ))}
    </Panel>
  )
}

const placeOf = ({ partition, offset }: Letter) => `${partition}/${offset}`

/** Stays open or closed as it was when another kind of letter comes, and keeps a letter that is being edited when newer ones come. */
function GroupView({ group, isAlone }: { group: Group; isAlone: boolean }) {
  const [open, setOpen] = useState(isAlone)
  const [held, setHeld] = useState<readonly Letter[]>([])
  const hold = (letter: Letter) => setHeld((before) => (before.some((one) => placeOf(one) === placeOf(letter)) ? before : [...before, letter]))
  const listed = new Set(group.letters.map(placeOf))
  const letters = [...group.letters, ...held.filter((letter) => !listed.has(placeOf(letter)))]
  return (
    <details className="border-b border-line last:border-b-0" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary className="cursor-pointer px-4 py-3 font-semibold">
        {group.kind} of {group.topic ?? 'an unknown topic'} <span className="num font-normal text-soft">{group.count}</span>
      </summary>
      <ul>
        {letters.map((letter) => (
          <li key={placeOf(letter)} className="grid gap-2 border-t border-line px-4 py-3" data-letter={placeOf(letter)} onInput={() => hold(letter)}>
            <LetterView letter={letter} />
          </li>
        ))}
      </ul>
    </details>
  )
}

/** Bytes of a value that the list of groups has. */
const LISTED_BYTES = 2_000

function LetterView({ letter: listed }: { letter: Letter }) {
  const [whole, setWhole] = useState(false)
  const full = usePoll<Letter>(`/admin/dead-letters/${listed.partition}/${listed.offset}`, 0, whole)
  const letter = full.data ?? listed
  const isCut = full.data === undefined && (listed.bytes ?? 0) > LISTED_BYTES
  const shown = letter.text ?? letter.base64
  return (
    <>
      <p className="flex flex-wrap gap-x-4 gap-y-1 text-sm">
        <span className="code">
          <RecordLink topic="dead-letters" partition={letter.partition} offset={letter.offset} />
        </span>
        <span>{dateAndTime(letter.time)}</span>
        <span className="code">from {letter.source}</span>
        <ReplayBadge replay={letter.replay} />
      </p>
      <p>{letter.message}</p>
      {shown !== undefined && (
        <Scroll as="pre" label="Its bytes" className="max-h-56 max-w-full rounded-lg bg-well p-3">
          {letter.text === undefined ? `base64: ${shown}` : shown}
          {isCut && `\n… of ${bytes(letter.bytes ?? 0)}`}
        </Scroll>
      )}
      {(isCut || letter.replay.state === 'unclear') && (
        <button type="button" className="act justify-self-start" onClick={() => (whole ? void full.refetch() : setWhole(true))}>
          {isCut ? 'Load the whole value' : 'Look for the copy'}
        </button>
      )}
      <Failure error={full.error} what="Letter" />
      {letter.replay.state === 'no' && !isCut && <ReplayForm key={String(full.data !== undefined)} letter={letter} />}
    </>
  )
}

function ReplayBadge({ replay }: { replay: Replay }) {
  if (replay.state === 'yes') {
    const [topic = '', partition, offset] = (replay.copy ?? '').split('/')
    return (
      <span className="code">
        <Badge tone="good">replayed</Badge> as <RecordLink topic={topic} partition={Number(partition)} offset={Number(offset)} />
        {replay.operator && ` by ${replay.operator}`}
      </span>
    )
  }
  if (replay.state === 'unclear') return <Badge tone="low">unclear: claimed by {replay.operator}, and it is not written down whether the copy was appended</Badge>
  return null
}

const REFUSED: Record<string, string> = {
  value_cut: 'Its value was too large to keep whole: what is missing cannot be replayed.',
  no_source: 'It does not say which topic it came from.',
}

function ReplayForm({ letter }: { letter: Letter }) {
  const readOnly = useReadOnly()
  const [value, setValue] = useState(letter.text ?? '')
  const [asking, setAsking] = useState(false)
  const replay = useWrite<Replay>()
  const refusal = replay.error instanceof Refused ? replay.error.problem : null
  if (letter.refused === 'already_answered') return <OrderAgain {...letter} />
  if (letter.refused) return <p className="text-sm text-soft">{REFUSED[letter.refused] ?? letter.refused}</p>
  const place = placeOf(letter)
  const send = () => {
    setAsking(false)
    // As base64, so that the bytes are appended as they are written here.
    replay.mutate({ path: `/admin/dead-letters/${place}/replay`, body: value === (letter.text ?? '') ? {} : { valueBase64: base64(value) } })
  }
  return (
    <div className="grid gap-2">
      <label className="grid gap-1 text-sm font-semibold">
        Corrected value
        <textarea className="input code min-h-20 py-2 font-normal" value={value} onChange={(event) => setValue(event.target.value)} />
      </label>
      {refusal?.code === 'already_answered' ? <OrderAgain {...(refusal as Answered)} /> : <Failure error={replay.error} what="Not replayed" />}
      <div>
        <ActionButton reason={readOnly} busy={replay.isPending} onClick={() => setAsking(true)}>
          Replay
        </ActionButton>
      </div>
      <Confirm open={asking} title={`Replay ${place}?`} action="Replay it once" risky={false} onYes={send} onNo={() => setAsking(false)}>
        The value above is appended to {letter.source.split('/')[0]} with the header kartshoppe-replay-of. This can be done once.
      </Confirm>
    </div>
  )
}

type Answered = { orderId?: string; productId?: string; outcome?: string | null }

/** What is left to do where an item has its outcome: it is not changed, and the shopper orders again. */
function OrderAgain({ orderId, productId, outcome }: Answered) {
  const process = useObservable(shownProcess)
  const [topic = '', partition, offset] = (outcome ?? '').split('/')
  return (
    <div role="note" className="rounded-lg border-2 border-low p-3 text-sm" data-testid="order-again">
      <p className="font-semibold text-low">Not replayed: this order item has its outcome.</p>
      <p className="mt-1">A replay would give it a second one. Instead, the shopper has to order again.</p>
      <ul className="mt-2 flex flex-wrap gap-x-5 gap-y-1">
        {productId && process && (
          <li>
            <a className="link" href={`${process.shop.replace(/\/$/, '')}/product/${encodeURIComponent(productId)}`}>
              Order again: {productId} in the shop
            </a>
          </li>
        )}
        {orderId && (
          <li>
            <Link href={`/orders/${encodeURIComponent(orderId)}`} className="link">
              Its order
            </Link>
          </li>
        )}
        {outcome && (
          <li>
            Its outcome: <RecordLink topic={topic} partition={Number(partition)} offset={Number(offset)} />
          </li>
        )}
      </ul>
    </div>
  )
}
