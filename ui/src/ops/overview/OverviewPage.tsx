import { usePoll } from '../api'
import { Badge, Failure, PageFrame, Panel, Scroll } from '../kit/kit'

type Role = { name: string; state: string; failing: boolean; children: { id: string }[] }

export default function OverviewPage() {
  const roles = usePoll<Role[]>('/admin/roles')
  return (
    <PageFrame title="Overview" lead="The roles of this process.">
      <Failure error={roles.error} what="Roles" />
      <Panel title="Roles" flush>
        <Scroll label="Roles">
          <table className="tbl">
            <thead>
              <tr>
                <th>Role</th>
                <th>State</th>
                <th className="right">Parts</th>
              </tr>
            </thead>
            <tbody>
              {roles.data?.map((role) => (
                <tr key={role.name}>
                  <td className="font-semibold">{role.name}</td>
                  <td>
                    <Badge tone={role.failing ? 'bad' : role.state === 'running' ? 'good' : 'quiet'}>{role.failing ? 'failing' : role.state}</Badge>
                  </td>
                  <td className="right">{role.children.length}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      </Panel>
    </PageFrame>
  )
}
