import { Link } from 'wouter'

import { Popular } from './Popular'

/** A page or drawer that has nothing of its own to show, and where to go on. `onLeave` belongs to a drawer, which has no room for more. */
export function Nothing({ text, onLeave }: { text: string; onLeave?: (() => void) | undefined }) {
  return (
    <>
      <p className="text-soft">{text}</p>
      <Link href="/" onClick={onLeave} className="btn-plain mt-4">
        Look at the shelves
      </Link>
      {!onLeave && <Popular />}
    </>
  )
}
