/** One frame of the socket. `payload` depends on `eventType`. */
export type Envelope = {
  uuid: string
  timestamp: number
  key: string | null
  toUserId: string | null
  eventType: string
  payload: unknown
}
