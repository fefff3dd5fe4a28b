// Swagger UI with what it leaves out for those who do not see it or have no mouse.

const dark = matchMedia('(prefers-color-scheme: dark)')
const follow = () => document.documentElement.classList.toggle('dark-mode', dark.matches)
dark.addEventListener('change', follow)
follow()

/** Buttons without a text, choices and tables that are regions get a name, code that scrolls takes the focus. */
function complete() {
  for (const button of document.querySelectorAll('.copy-to-clipboard > button:not([aria-label])')) button.ariaLabel = 'Copy'
  for (const table of document.querySelectorAll('.opblock table[role="region"]:not([aria-label])')) {
    const said = (part) => table.closest('.opblock').querySelector(`.opblock-summary-${part}`)?.textContent
    table.ariaLabel = `Responses of ${said('method')} ${said('path')}`
  }
  for (const choice of document.querySelectorAll('tr[data-param-name] select:not([aria-label])')) choice.ariaLabel = choice.closest('tr').dataset.paramName
  for (const code of document.querySelectorAll('pre.microlight:not([tabindex])')) code.tabIndex = 0
}
new MutationObserver(complete).observe(document.getElementById('swagger-ui'), { childList: true, subtree: true })

SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  plugins: [
    {
      wrapComponents: {
        // The path is a link within the button that opens the operation, and that sets the same address.
        DeepLink:
          (Original, { React }) =>
          (props) =>
            React.createElement(Original, { ...props, enabled: false }),
        // Tags are of the third level.
        operations:
          (Original, { React }) =>
          (props) =>
            React.createElement(React.Fragment, null, React.createElement('h2', { className: 'operations-head' }, 'Operations'), React.createElement(Original, props)),
      },
    },
  ],
})
