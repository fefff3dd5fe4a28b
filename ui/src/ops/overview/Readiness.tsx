import { sentence } from '../../lib/text'
import { Badge, Failure, Panel } from '../kit/kit'
import { useReadiness } from './readiness'

/** Whether the process is ready, and if not: what stands in the way and what to do about it, in the server's words. */
export function ReadinessPanel() {
  const { data, error } = useReadiness()
  return (
    <Panel title="Readiness" actions={data && <Badge tone={data.ready ? 'good' : 'bad'}>{data.ready ? 'Ready' : 'Not ready'}</Badge>}>
      <div className="grid gap-3" data-testid="readiness">
        <Failure error={error} />
        {data?.ready && data.warnings.length === 0 && <p className="text-soft">Nothing stands in the way.</p>}
        <Causes title="Blocking" tone="text-out" texts={data?.reasons ?? []} />
        <Causes title="Warnings" tone="text-low" texts={data?.warnings ?? []} />
      </div>
    </Panel>
  )
}

function Causes({ title, tone, texts }: { title: string; tone: string; texts: readonly string[] }) {
  if (texts.length === 0) return null
  return (
    <div>
      <h3 className={`text-sm font-semibold ${tone}`}>{title}</h3>
      <ul className="mt-1 grid list-disc gap-1 pl-5">
        {texts.map((text) => (
          <li key={text}>{sentence(text)}</li>
        ))}
      </ul>
    </div>
  )
}
