import { useQuery } from '@tanstack/react-query'

import { frontQuery } from '../api/queries'
import { bestSellers } from '../live/bestSellers'
import { useObservable } from '../lib/observable'
import { apart } from './apart'
import { MovingNow } from './MovingNow'
import { Strip } from './Strip'

/** What the shop shows above its shelves: what moves, and three ways to a bargain or a last piece. */
export function FrontPage() {
  const { data: front } = useQuery(frontQuery)
  const sold = useObservable(bestSellers)
  const strips = [
    { title: 'Best sellers', ids: sold },
    ...apart([
      { title: 'Price drops', ids: front?.drops ?? [] },
      { title: 'Almost gone', ids: front?.almostGone ?? [] },
      { title: 'Trending', ids: front?.trending ?? [] },
    ]),
  ].filter(({ ids }) => ids.length > 0)
  return (
    <>
      <MovingNow />
      {strips.length > 0 && (
        <div className="mt-9 grid gap-x-10 gap-y-8 lg:auto-cols-fr lg:grid-flow-col">
          {strips.map(({ title, ids }) => (
            <Strip key={title} title={title} ids={ids} />
          ))}
        </div>
      )}
    </>
  )
}
