import { track } from '../track/track'
import { defaultSort, isSort, SORTS, type Filters, type Sort } from './filters'

/** The order of the list. "Best match" is one only for a search. */
export function SortSelect({ filters, onChoose, className = '' }: { filters: Filters; onChoose: (sort: Sort) => void; className?: string }) {
  const offered = Object.entries(SORTS).filter(([sort]) => sort !== 'relevance' || defaultSort(filters.search) === 'relevance')
  return (
    <select
      aria-label="Sort by"
      className={`field ${className}`}
      value={filters.sort}
      onChange={({ target }) => {
        if (!isSort(target.value)) return
        track('SORT_CHANGE', { sortBy: target.value })
        onChoose(target.value)
      }}
    >
      {offered.map(([sort, name]) => (
        <option key={sort} value={sort}>
          {name}
        </option>
      ))}
    </select>
  )
}
