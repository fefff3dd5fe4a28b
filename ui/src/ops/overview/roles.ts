import { usePoll } from '../api'

export type RoleState = 'running' | 'restarting' | 'stopped'
export type Role = { name: string; state: RoleState; failing: boolean; stoppedBy?: string | null; children: { id: string; state: RoleState; failing: boolean }[] }

export function useRoles() {
  return usePoll<Role[]>('/admin/roles', 1_500)
}

/** What a role does, and what it means to be without it. */
export const ROLE_NOTES: Record<string, { does: string; stops: string }> = {
  inventory: {
    does: 'Owns stock and price of every product',
    stops: 'Orders are taken but stay pending, and product updates wait in the log. Nothing is lost: started again, it takes up where it was.',
  },
  cdc: {
    does: 'Reads orders from PostgreSQL’s write-ahead log',
    stops: 'Orders that go through the database wait in PostgreSQL, which keeps its write-ahead log for them: a long stop fills its disk. Direct orders go on.',
  },
  api: {
    does: 'Serves the shop’s page, its API and its live figures',
    stops: 'The shop closes: shoppers get no page, carts and checkouts fail. Stock and this console stay.',
  },
}
