export type RunState = 'running' | 'stopped' | 'unknown'
