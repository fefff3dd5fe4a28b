/** A line of figures without axes: whether it rises or rests. The figure beside it says the value, so this is decoration. */
export function Spark({ values, width = 120, height = 28 }: { values: readonly number[]; width?: number; height?: number }) {
  if (values.length < 2) return <svg width={width} height={height} aria-hidden />
  const most = Math.max(1, ...values)
  const x = (nth: number) => (nth * width) / (values.length - 1)
  const y = (value: number) => height - 1.5 - (value / most) * (height - 3)
  const line = values.map((value, nth) => `${nth === 0 ? 'M' : 'L'}${x(nth).toFixed(1)} ${y(value).toFixed(1)}`).join('')
  return (
    <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} className="text-leaf" aria-hidden>
      <path d={`${line}L${width} ${height}L0 ${height}Z`} fill="currentColor" opacity="0.12" />
      <path d={line} fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinejoin="round" />
    </svg>
  )
}
