/** As many rows as will be there soon, each with a picture and two lines of text; what it is for is said beside it. */
export function Rows({ count, className = '' }: { count: number; className?: string }) {
  return (
    <div aria-hidden className={`divide-y divide-line ${className}`}>
      {Array.from({ length: count }, (_, row) => (
        <div key={row} className="flex gap-4 py-4">
          <div className="size-16 shrink-0 rounded-lg bg-well sm:size-20" />
          <div className="grow pt-2">
            <div className="h-5 w-3/5 rounded bg-well" />
            <div className="mt-3 h-4 w-1/4 rounded bg-well" />
          </div>
          <div className="mt-2 h-5 w-16 rounded bg-well" />
        </div>
      ))}
    </div>
  )
}
