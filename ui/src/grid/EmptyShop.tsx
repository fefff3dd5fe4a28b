import { useQuery } from '@tanstack/react-query'

import { statusQuery } from '../api/queries'

/** Why there is nothing to buy. The page fills by itself: new products are pushed. */
export function EmptyShop() {
  const { data: status } = useQuery(statusQuery)
  const [title, text] = textOf(status?.inventory, status?.catalog)
  return (
    <div className="py-14" data-testid="empty-shop">
      <div aria-hidden className="flex max-w-xl border-t-4 border-edge">
        {[0, 1, 2].map((label) => (
          <span key={label} className="hang ml-6 h-9 w-20 bg-well" />
        ))}
      </div>
      <h2 className="mt-6 text-2xl font-bold">{title}</h2>
      <p className="mt-2 max-w-prose text-soft">{text}</p>
    </div>
  )
}

function textOf(inventory?: string, catalog?: string): [string, string] {
  if (catalog === 'restoring') return ['The shelves are being put back', 'The shop has just started and reads its catalogue. Products appear here as soon as it is done.']
  if (inventory !== 'running') return ['No inventory is running', 'The shop is open but nobody stocks its shelves yet. Start the inventory role: this page fills by itself.']
  return ['The shelves are empty', 'The inventory runs but has no products yet. They appear here by themselves.']
}
