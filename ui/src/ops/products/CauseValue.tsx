import { useQuery } from '@tanstack/react-query'

import { ask } from '../api'
import type { OneRecord } from '../inspect/records'
import { Failure } from '../kit/kit'

/** The value of the record behind a change, as its bytes have it: read as JSON, its numbers would change. */
export function CauseValue({ place }: { place: string }) {
  const { data, error } = useQuery<OneRecord, Error>({
    queryKey: ['record', place],
    queryFn: ({ signal }) => ask<OneRecord>(`/admin/records/${place}?values=text`, { signal }),
    staleTime: Infinity,
  })
  if (error) return <Failure error={error} what={place} />
  const text = data?.record.value ?? data?.record.valueBase64
  return text ? (
    <pre className="code mt-2 max-w-full overflow-x-auto rounded-lg bg-well p-3 whitespace-pre-wrap break-all" data-testid="cause-value">
      {text}
    </pre>
  ) : null
}
