// Pieces of SVG as text. Whatever a name holds, it stays text.
import { inertName } from '../inert-text.ts'

/** Colours that are told apart by people with any colour vision (Okabe and Ito 2008). */
export const colours = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9'] as const
export const ink = '#222222'
export const paleInk = '#666666'
export const grid = '#dddddd'

type Attributes = Readonly<Record<string, string | number | undefined>>

/** An element; `content` is markup already. */
export function element(name: string, attributes: Attributes, content = ''): string {
  const written = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${escaped(typeof value === 'number' ? plain(value) : String(value))}"`)
    .join('')
  return content === '' ? `<${name}${written}/>` : `<${name}${written}>${content}</${name}>`
}

/** A line of text, with what terminals or markup would obey taken out of it, cut after `most` characters. */
export function text(
  x: number,
  y: number,
  words: string,
  { most = 100, ...attributes }: Attributes & { most?: number } = {},
): string {
  return element('text', { x, y, fill: ink, ...attributes }, escaped(inertName(words, most)))
}

/** A whole picture on white ground. */
export function svgDocument(width: number, height: number, title: string, body: readonly string[]): string {
  const attributes = {
    xmlns: 'http://www.w3.org/2000/svg',
    width,
    height,
    viewBox: `0 0 ${plain(width)} ${plain(height)}`,
    'font-family': 'DejaVu Sans, Verdana, Helvetica, Arial, sans-serif',
    'font-size': 12,
  }
  const ground = element('rect', { width, height, fill: '#ffffff' })
  const name = element('title', {}, escaped(inertName(title, 100)))
  return `${element('svg', attributes, `\n${[name, ground, ...body].join('\n')}\n`)}\n`
}

/** Hundredths of a pixel are enough. */
function plain(value: number): string {
  return String(Math.round(value * 100) / 100)
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escaped(words: string): string {
  // The last two code points of the plane are no characters of XML.
  return words.replace(/[&<>"']/g, (character) => entities[character] ?? '').replace(/[\ufffe\uffff]/g, '\ufffd')
}
