import { usePoll } from '../api'
import { Empty, Failure, PageFrame, Panel, Scroll } from '../kit/kit'
import { useParam } from '../params'

/** `GET /admin/config`. */
type Key = { key: string; value: string; origin: string }

export default function ConfigPage() {
  const keys = usePoll<Key[]>('/admin/config', 0)
  const [text, setText] = useParam('text')
  const [changed, setChanged] = useParam('changed')
  const isChanged = (key: Key) => !/default/.test(key.origin)
  const wanted = text.trim().toLowerCase()
  const shown = keys.data?.filter((key) => (changed === '' || isChanged(key)) && Object.values(key).some((part) => part.toLowerCase().includes(wanted)))
  return (
    <PageFrame title="Configuration" lead="What this process runs with, and where each value comes from. Secrets are hidden; a change needs a restart.">
      <div className="flex flex-wrap items-end gap-4">
        <label className="min-w-48 flex-1 text-sm">
          Key, value or origin
          <input className="input" value={text} onChange={(event) => setText(event.target.value)} />
        </label>
        <label className="flex min-h-9 items-center gap-2 text-sm">
          <input type="checkbox" checked={changed !== ''} onChange={(event) => setChanged(event.target.checked ? '1' : '')} />
          Only what is not a default
        </label>
      </div>
      <Failure error={keys.error} what="Configuration" />
      {shown && (
        <Panel title={`${shown.length} keys`} note={`of ${keys.data?.length ?? 0}`} flush>
          <Scroll label="Configuration">
            <table className="tbl">
              <thead>
                <tr>
                  <th>Key</th>
                  <th>Value</th>
                  <th>Origin</th>
                </tr>
              </thead>
              <tbody>
                {shown.map((key) => (
                  <tr key={key.key}>
                    <td className="code">{key.key}</td>
                    <td className="code break-all">{key.value}</td>
                    <td className={isChanged(key) ? 'font-semibold' : 'text-soft'}>{key.origin}</td>
                  </tr>
                ))}
              </tbody>
            </table>
            {shown.length === 0 && <Empty>No key fits.</Empty>}
          </Scroll>
        </Panel>
      )}
    </PageFrame>
  )
}
