import type { OrderStatus } from '../wire'

export const STATUS_TEXT: Record<OrderStatus, { label: string; headline: string; text: string }> = {
  PENDING: { label: 'Pending', headline: 'Order placed', text: '' },
  CONFIRMED: { label: 'Confirmed', headline: 'Order confirmed', text: 'Every item is reserved in full.' },
  BACKORDERED: { label: 'Backordered', headline: 'Partly confirmed', text: 'There was not enough in stock for all of it. You pay for what is reserved; what is unavailable is listed below.' },
  REJECTED: { label: 'Rejected', headline: 'Sold out before we could reserve it', text: 'Nothing was reserved, so there is nothing to pay.' },
}

const LOOKS: Record<OrderStatus, string> = {
  PENDING: 'bg-well text-ink',
  CONFIRMED: 'bg-leaf text-on-leaf',
  BACKORDERED: 'bg-label text-on-label',
  REJECTED: 'bg-out text-paper',
}

export function StatusLabel({ status }: { status: OrderStatus }) {
  return (
    <span data-testid="order-status" className={`hang inline-block px-4 pb-3.5 pt-1.5 font-bold forced-colors:py-2.5 ${LOOKS[status]}`}>
      {STATUS_TEXT[status].label}
    </span>
  )
}
