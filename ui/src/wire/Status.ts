import type { CatalogState } from './CatalogState'
import type { RunState } from './RunState'

/** What runs behind the page. `since` is when the inventory's state began, in epoch milliseconds. */
export type Status = {
  inventory: RunState
  cdc: RunState
  since: number | null
  catalog: CatalogState
  tracing: boolean
}
