import { PageFrame } from '../kit/kit'
import { Alerts } from './Alerts'
import { Figures } from './Figures'
import { ReadinessPanel } from './Readiness'
import { Restarts } from './Restarts'
import { Roles } from './Roles'

export default function OverviewPage() {
  return (
    <PageFrame title="Overview" lead="Whether the shop is healthy, and what needs attention.">
      <Figures />
      <div className="grid items-start gap-5 xl:grid-cols-[3fr_2fr]">
        <div className="grid min-w-0 gap-5">
          <ReadinessPanel />
          <Roles />
        </div>
        <div className="grid min-w-0 gap-5">
          <Alerts />
          <Restarts />
        </div>
      </div>
    </PageFrame>
  )
}
