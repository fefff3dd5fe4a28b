import tailwind from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

/** The server that the development page talks to. */
const server = process.env['KARTSHOPPE_URL'] ?? 'http://127.0.0.1:8081'

export default defineConfig({
  plugins: [react(), tailwind()],
  build: {
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
    },
  },
  test: { include: ['src/**/*.test.ts'], environment: 'node', restoreMocks: true },
})
