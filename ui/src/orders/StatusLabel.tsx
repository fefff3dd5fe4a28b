import type { OrderStatus } from '../wire'

export const STATUS_TEXT: Record<OrderStatus, { label: string; headline: string; text: string }> = {
  PENDING: { label: 'Pending', headline: 'Your order is placed', text: '' },
  CONFIRMED: { label: 'Confirmed', headline: 'Everything is yours', text: 'The inventory has set aside every item in full.' },
  BACKORDERED: { label: 'Backordered', headline: 'Some of it is yours', text: 'The shelf did not hold all of it. What is missing is listed below.' },
  REJECTED: { label: 'Rejected', headline: 'Nothing was left', text: 'The inventory could not set aside a single unit.' },
}

const LOOKS: Record<OrderStatus, string> = {
  PENDING: 'bg-well text-ink',
  CONFIRMED: 'bg-leaf text-on-leaf',
  BACKORDERED: 'bg-label text-on-label',
  REJECTED: 'bg-out text-paper',
}

export function StatusLabel({ status }: { status: OrderStatus }) {
  return (
    <span data-testid="order-status" className={`hang inline-block px-4 pb-3.5 pt-1.5 font-bold ${LOOKS[status]}`}>
      {STATUS_TEXT[status].label}
    </span>
  )
}
