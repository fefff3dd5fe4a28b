import type { Status } from './Status'

/** Payload of a `HEARTBEAT` frame: where to resume, what runs, and whether the page must read REST again. */
export type Heartbeat = {
  cursor: string | null
  status: Status | null
  reload: boolean
}
