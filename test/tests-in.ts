// The tests that a file holds, as they are written: nothing is run.
import ts from 'typescript'

export interface FoundTest {
  /** Titles of the describes around it and its own, joined by ` > `; placeholders of `each` stay. */
  readonly name: string
  /** It, or a describe around it, is skipped, left to do, expected to fail, or runs only sometimes. */
  readonly conditional: boolean
  /** It expects something, itself or through a function of the file. */
  readonly asserts: boolean
}

const ALWAYS = new Set(['each', 'for', 'concurrent', 'sequential'])

/** @param text  TypeScript that uses `describe`, and `test` or `it` */
export function testsIn(file: string, text: string): readonly FoundTest[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
  const helpers = new Set(functionsThatExpect(source))
  const found: FoundTest[] = []
  visit(source, [], false)
  return found

  function visit(node: ts.Node, around: readonly string[], conditional: boolean): void {
    const call = ts.isCallExpression(node) ? callOf(node) : undefined
    if (!call) {
      ts.forEachChild(node, (child) => visit(child, around, conditional))
      return
    }
    const path = [...around, call.title]
    const sometimes = conditional || call.modifiers.some((modifier) => !ALWAYS.has(modifier))
    if (call.root === 'describe') ts.forEachChild(call.body, (child) => visit(child, path, sometimes))
    else found.push({ name: path.join(' > '), conditional: sometimes, asserts: expects(call.body, helpers) })
  }
}

/** `test.each(table)('title', () => {})` and its kin; undefined for other calls. */
function callOf(node: ts.CallExpression) {
  const [title, body] = node.arguments
  if (!title || !body || !ts.isStringLiteralLike(title)) return undefined
  if (!ts.isArrowFunction(body) && !ts.isFunctionExpression(body)) return undefined
  const modifiers: string[] = []
  let callee: ts.Expression = node.expression
  while (!ts.isIdentifier(callee)) {
    if (ts.isPropertyAccessExpression(callee)) {
      modifiers.push(callee.name.text)
      callee = callee.expression
    } else if (ts.isCallExpression(callee)) callee = callee.expression
    else return undefined
  }
  const root = callee.text
  if (root !== 'describe' && root !== 'test' && root !== 'it') return undefined
  return { root, modifiers, title: title.text, body: body.body }
}

function expects(body: ts.Node, helpers: ReadonlySet<string>): boolean {
  let found = false
  const look = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && ts.isIdentifier(node.expression))
      found ||= node.expression.text === 'expect' || helpers.has(node.expression.text)
    if (!found) ts.forEachChild(node, look)
  }
  look(body)
  return found
}

/** Names of the file's functions that call `expect` themselves. */
function functionsThatExpect(source: ts.SourceFile): string[] {
  return source.statements.flatMap((statement) =>
    ts.isFunctionDeclaration(statement) && statement.name && statement.body && expects(statement.body, new Set())
      ? [statement.name.text]
      : [],
  )
}
