import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'

import tailwind from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import type { Plugin } from 'vite'
import { defineConfig } from 'vitest/config'

/** The server that the development page talks to: the shop, or the operators' listener. */
const server = process.env['KARTSHOPPE_URL'] ?? 'http://127.0.0.1:8081'
const operators = process.env['KARTSHOPPE_ADMIN_URL'] ?? 'http://127.0.0.1:9464'

/** Leaves a smaller copy beside each text file of the build, once by brotli and once by gzip; fonts are packed already. */
function smallerCopies(): Plugin {
  let folder = ''
  return {
    name: 'smaller-copies',
    apply: 'build',
    configResolved: (config) => {
      folder = config.build.outDir
    },
    closeBundle: () => {
      for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || !/\.(?:css|html|js|json|svg|txt)$/.test(entry.name)) continue
        const file = join(entry.parentPath, entry.name)
        const text = readFileSync(file)
        const copies = {
          br: brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: text.length } }),
          gz: gzipSync(text, { level: 9 }),
        }
        for (const [ending, copy] of Object.entries(copies)) {
          if (copy.length < text.length) writeFileSync(`${file}.${ending}`, copy)
        }
      }
    },
  }
}

/** Modules that the page needs before its first picture: all that its entry imports, directly or by others. */
function neededAtOnce(entry: string): (id: string, graph: { getModuleInfo: (id: string) => { importedIds: string[] } | null }) => string | null {
  const needed = new Set<string>()
  const visit = (id: string, graph: Parameters<ReturnType<typeof neededAtOnce>>[1]) => {
    if (needed.has(id)) return
    needed.add(id)
    for (const imported of graph.getModuleInfo(id)?.importedIds ?? []) visit(imported, graph)
  }
  return (id, graph) => {
    if (needed.size === 0) visit(entry, graph)
    return needed.has(id) && id !== entry ? 'shell' : null
  }
}

/** The shop's page, or with `--mode ops` the operators' console: two builds, so that neither has anything of the other's. */
export default defineConfig(({ mode }) => ({
  plugins: [react(), tailwind(), smallerCopies()],
  build: {
    ...(mode === 'ops'
      ? { outDir: 'dist-ops', rolldownOptions: { input: 'ops.html' } }
      : // One file: the bundler would give each module that a later part of the page needs too a file of its own, a round trip each.
        { rolldownOptions: { output: { codeSplitting: { groups: [{ debugName: 'shell', name: neededAtOnce(join(import.meta.dirname, 'src/main.tsx')) }] } } } }),
    // `dist/.gitkeep` is committed, so that the Rust build finds the folder before the first page build;
    // emptying the folder removes it, the copy in `public/` brings it back.
    emptyOutDir: true,
    // Every browser that knows `light-dark()` knows module preload; no polyfill, no inline script.
    modulePreload: { polyfill: false },
    target: 'es2023',
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
  },
  server: {
    proxy: {
      '/api': server,
      '/ecommerce': { target: server, ws: true },
      // The listener answers pages of its own origin only, so it is asked as one.
      '/admin': { target: operators, changeOrigin: true, headers: { origin: operators } },
      '/readyz': operators,
      '/workshop/pictures': { target: operators, changeOrigin: true },
    },
  },
  test: { include: ['src/**/*.test.ts'], environment: 'node', restoreMocks: true },
}))
