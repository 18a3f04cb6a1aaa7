// Shows events to a person on stderr: a bar on a terminal, single lines elsewhere.
import cliProgress from 'cli-progress'
import { formatBytes } from '../format-bytes.ts'
import { inert, inertName } from '../inert-text.ts'
import type { Listener, Phase, WorkEvent } from '../train/events.ts'
import { duration, significant } from './format.ts'
import type { OutputStream } from './host.ts'

/** A person who looks on. */
export interface Progress {
  readonly listener: Listener
  /** Text of one or more lines, above the bar if there is one. */
  say(text: string): void
  /** No bar and no lines of progress from now on; what was left out is still named. */
  hideBar(): void
  /** Gives the terminal back as it was. */
  close(): void
}

export interface ProgressOptions {
  readonly stream: OutputStream
  readonly quiet: boolean
  /** Terminals that cannot move the cursor get lines. */
  readonly dumb: boolean
  now(): number
}

const lineEveryMs = 5000

/** What is being done now. */
interface Running {
  readonly phase: Phase
  readonly unit: string
  readonly startMs: number
  total: number
  done: number
  /** Where and when progress was first heard of: a resumed phase does not begin at 0. */
  first: { readonly done: number; readonly ms: number } | undefined
  detail: string | undefined
  lastLineMs: number
}

/** The listener that shows what happens; with `quiet` nothing. */
export function showProgress(options: ProgressOptions): Progress {
  const { stream, quiet, now } = options
  const named = new Set<string>()
  let barWanted = stream.isTTY === true && !options.dumb
  let hidden = false
  let running: Running | undefined
  let bar: cliProgress.SingleBar | undefined

  function say(text: string): void {
    if (quiet) return
    takeBarAway()
    stream.write(`${inert(text)}\n`)
    putBarBack()
  }

  function takeBarAway(): void {
    bar?.stop()
    bar = undefined
  }

  function putBarBack(): void {
    if (!barWanted || hidden || quiet || running === undefined || running.total <= 0) return
    bar = new cliProgress.SingleBar({
      stream,
      clearOnComplete: true,
      hideCursor: true,
      // Signals are ours: the work is saved before it ends.
      gracefulExit: false,
      fps: 5,
      format: (_, params) => (running === undefined ? '' : `${barOf(params.progress)}  ${state(running, now())}`),
    })
    bar.start(running.total, running.done)
  }

  function begin(phase: Phase, total: number, unit: string): void {
    takeBarAway()
    running = { phase, unit, total, startMs: now(), done: 0, first: undefined, detail: undefined, lastLineMs: now() }
    putBarBack()
  }

  function advance(event: Extract<WorkEvent, { type: 'progress' }>): void {
    if (running?.phase !== event.phase) begin(event.phase, event.total, '')
    if (running === undefined) return
    running.done = event.done
    running.first ??= { done: event.done, ms: now() }
    running.detail = event.detail
    if (running.total !== event.total) {
      running.total = event.total
      bar?.setTotal(event.total)
    }
    if (bar) bar.update(event.done)
    // Without a total there is no bar.
    else if (!hidden && !(barWanted && running.total > 0) && now() - running.lastLineMs >= lineEveryMs) {
      running.lastLineMs = now()
      say(state(running, now()))
    }
  }

  function end(phase: Phase): void {
    if (running?.phase !== phase) return
    const ended = running
    takeBarAway()
    running = undefined
    // Epochs and steps have told their own story.
    if (!hidden && ended.unit === 'images' && ended.done > 0) say(summary(ended, now()))
  }

  return {
    listener(event) {
      if (quiet) return
      switch (event.type) {
        case 'phase':
          return begin(event.phase, event.total, event.unit)
        case 'progress':
          return advance(event)
        case 'phaseEnd':
          return end(event.phase)
        case 'epoch':
          return say(epochLine(event))
        case 'bad': {
          if (named.has(event.path)) return
          named.add(event.path)
          return say(`left out: ${inertName(event.path)}: ${event.reason}`)
        }
        case 'check':
          return say(`${event.ok ? 'check' : 'LOOK '}  ${event.message}`)
        case 'note':
          return say(event.message)
        case 'step':
        case 'saved':
          return
      }
    },
    say,
    hideBar() {
      takeBarAway()
      hidden = true
    },
    close() {
      takeBarAway()
      running = undefined
      barWanted = false
    },
  }
}

function epochLine(event: Extract<WorkEvent, { type: 'epoch' }>): string {
  const { epoch, epochs, trainLoss, trainAccuracy, validationAccuracy, learningRate, seconds, best } = event
  return [
    `epoch ${epoch}/${epochs}`,
    `loss ${significant(trainLoss, 3)}`,
    `train ${trainAccuracy.toFixed(3)}`,
    // A star marks the best so far.
    `val ${validationAccuracy.toFixed(3)}${best ? ' *' : '  '}`,
    `rate ${significant(learningRate, 2)}`,
    duration(seconds),
  ].join('  ')
}

/** `features  340/1000 images  52 images/s  13 s left` */
function state({ phase, unit, total, done, first, detail }: Running, nowMs: number): string {
  const seconds = first === undefined ? 0 : (nowMs - first.ms) / 1000
  const rate = first === undefined || seconds <= 0 ? 0 : (done - first.done) / seconds
  // Epochs come in fractions.
  const shownDone = Number.isInteger(done) ? String(done) : done.toFixed(1)
  const parts =
    unit === 'bytes'
      ? [phase, `${formatBytes(done)} of ${formatBytes(total)}`]
      : [phase, `${shownDone}${total > 0 ? `/${total}` : ''}${unit === '' ? '' : ` ${unit}`}`]
  if (unit === 'images' && rate > 0) parts.push(`${significant(rate, 3)} images/s`)
  if (rate > 0 && done < total) parts.push(`${duration((total - done) / rate)} left`)
  if (detail !== undefined) parts.push(inertName(detail, 100))
  return parts.join('  ')
}

function summary({ phase, unit, done, startMs }: Running, nowMs: number): string {
  const seconds = (nowMs - startMs) / 1000
  const rate = seconds > 0 ? `  ${significant(done / seconds, 3)} ${unit}/s` : ''
  return `${phase}  ${done} ${unit}  ${duration(seconds)}${rate}`
}

function barOf(progress: number): string {
  const width = 24
  const full = Math.max(0, Math.min(width, Math.round(progress * width)))
  return '█'.repeat(full) + '░'.repeat(width - full)
}
