export type TrackedEvent = {
  eventId: string
  sessionId: string
  userId: string
  eventType: string
  timestamp: number
  metadata: { userAgent: string; referrer: string; url: string; screenResolution: string }
  [field: string]: unknown
}
