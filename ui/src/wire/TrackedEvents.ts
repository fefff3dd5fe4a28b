import type { TrackedEvent } from './TrackedEvent'

export type TrackedEvents = { events: TrackedEvent[]; sessionId: string; userId: string }
