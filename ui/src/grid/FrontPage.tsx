import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'

import { frontQuery } from '../api/queries'
import { bestSellers } from '../live/bestSellers'
import { useObservable } from '../lib/observable'
import { apart } from './apart'
import { MovingNow } from './MovingNow'
import { Strip } from './Strip'
import { keptStrips, type Strips } from './strips'

/** What the shop shows above its shelves: what moves, and three ways to a bargain or a last piece. */
export function FrontPage() {
  const { data: front } = useQuery(frontQuery)
  const [kept, setKept] = useState<Strips>([])
  const strips = keptStrips(kept, front)
  if (strips !== kept) setKept(strips)
  const sold = useObservable(bestSellers)
  // Best sellers take the place of what trends: a strip of its own would push away what stands here already.
  const shown = sold.length > 0 ? [...strips.filter(({ title }) => title !== 'Trending'), { title: 'Best sellers', ids: sold }] : strips
  return (
    <>
      <MovingNow />
      {shown.length > 0 && (
        <div className="mt-9 grid gap-x-10 gap-y-8 lg:auto-cols-fr lg:grid-flow-col">
          {apart(shown).map(({ title, ids }) => (
            <Strip key={title} title={title} ids={ids} />
          ))}
        </div>
      )}
    </>
  )
}
