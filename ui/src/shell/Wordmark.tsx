/** The shop's name on a shelf's edge, with a price label hanging from it; on a phone the label alone. */
export function Wordmark() {
  return (
    <span className="inline-flex items-center gap-2.5 text-2xl font-bold tracking-tight">
      <svg viewBox="0 0 32 32" className="size-8" aria-hidden>
        <path d="M1 5h30v4H1z" className="fill-leaf" />
        <path d="M8 9h16v17l-4-3-4 3-4-3-4 3z" className="fill-label" />
        <path d="M12 14h8M12 18h5" className="stroke-on-label" strokeWidth="2" strokeLinecap="round" />
      </svg>
      <span className="max-sm:sr-only">KartShoppe</span>
    </span>
  )
}
