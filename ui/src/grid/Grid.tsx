import type { ReactNode, Ref } from 'react'

/** Whole rows of shelf in every width: 24 products fill 2, 3, 4 and 6 columns. */
const COLUMNS = 'grid grid-cols-2 md:grid-cols-3 lg:grid-cols-4 min-[106.25rem]:grid-cols-6'

export function Grid({ label, busy = false, children }: { label: string; busy?: boolean; children: ReactNode }) {
  return (
    <ul aria-label={label} aria-busy={busy} className={`${COLUMNS} transition-opacity ${busy ? 'opacity-60' : ''}`}>
      {children}
    </ul>
  )
}

/** Empty shelves in the products' places while an answer is out. */
export function EmptyShelves({ places, ref }: { places: number; ref?: Ref<HTMLDivElement> }) {
  return (
    <div ref={ref} className={COLUMNS} aria-hidden>
      {Array.from({ length: places }, (_, place) => (
        <div key={place} className="pb-8">
          <div className="px-2 sm:px-3">
            <div className="aspect-square rounded-t-xl bg-well" />
          </div>
          <div className="border-t-4 border-line px-2 sm:px-3">
            <div className="hang h-10 w-24 bg-well" />
            <div className="mt-3 h-5 w-4/5 rounded bg-well" />
            <div className="mt-2 h-4 w-1/2 rounded bg-well" />
          </div>
        </div>
      ))}
    </div>
  )
}
