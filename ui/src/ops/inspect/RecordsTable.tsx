import { Empty, Scroll } from '../kit/kit'
import { placeOf, snippet, timeText, type ShownRecord } from './records'

/** Records as rows; a press on one opens it. */
export function RecordsTable({ label, records, empty, onOpen }: { label: string; records: readonly ShownRecord[]; empty: string; onOpen: (place: string) => void }) {
  if (records.length === 0) return <Empty>{empty}</Empty>
  return (
    <Scroll label={label} className="max-h-[70vh] overflow-y-auto">
      <table className="tbl">
        <thead className="sticky top-0 bg-tile">
          <tr>
            <th>Appended</th>
            <th>Record</th>
            <th>Key</th>
            <th>Value</th>
          </tr>
        </thead>
        <tbody>
          {records.map((record) => (
            <tr key={placeOf(record)}>
              <td className="num whitespace-nowrap">{timeText(record.timestamp)}</td>
              <td className="whitespace-nowrap">
                <button type="button" className="code link" onClick={() => onOpen(placeOf(record))}>
                  {placeOf(record)}
                </button>
              </td>
              <td className="code min-w-32 max-w-48">{record.key}</td>
              <td className={`code min-w-64 ${record.valueType === 'json' ? '' : 'text-soft'}`}>
                <span className="line-clamp-2">{snippet(record)}</span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  )
}
