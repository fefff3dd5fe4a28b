// Fills the join page or the board. Names are put in as text.
const EVERY_MS = 2000

const address = document.getElementById('address')
if (address) address.textContent = location.origin + location.pathname

function cell(kind, text, name, scope) {
  const element = document.createElement(kind)
  element.textContent = text
  if (name) element.className = name
  if (scope) element.scope = scope
  return element
}

function waiting(seconds) {
  return seconds < 60 ? 'less than a minute' : `${Math.floor(seconds / 60)} min`
}

function rowOf(steps, { name, stuck, quiet_s, results }) {
  const row = document.createElement('tr')
  row.append(cell('th', name, '', 'row'))
  row.append(stuck === null ? cell('td', '') : cell('td', `at ${stuck} for ${waiting(quiet_s)}`, 'open'))
  for (const step of steps) {
    const found = results[step]
    if (!found) row.append(cell('td', ''))
    else row.append(found.done ? cell('td', '✓', 'done') : cell('td', `${found.passed}/${found.of}`, 'open'))
  }
  return row
}

async function draw() {
  const state = document.getElementById('state')
  try {
    const answer = await fetch(`${location.pathname}/data`, { signal: AbortSignal.timeout(5000) })
    if (!answer.ok) throw new Error(answer.statusText)
    const { steps, learners } = await answer.json()
    document.getElementById('head').replaceChildren(cell('th', 'Learner', '', 'col'), cell('th', 'Stuck', '', 'col'), ...steps.map((step) => cell('th', step, '', 'col')))
    document.getElementById('rows').replaceChildren(...learners.map((learner) => rowOf(steps, learner)))
    const stuck = learners.filter((learner) => learner.stuck !== null).length
    const text = learners.length === 0 ? 'Waiting for the first learner.' : `${learners.length} learners, ${stuck} with an open step.`
    // A live region speaks when it changes.
    if (state.textContent !== text) state.textContent = text
  } catch {
    state.textContent = 'The board does not answer: is `kartshoppe workshop lead` still running?'
  }
  setTimeout(draw, EVERY_MS)
}

if (document.getElementById('rows')) void draw()
