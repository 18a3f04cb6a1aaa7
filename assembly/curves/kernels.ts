import { ExponentialUnit } from './exponential-unit'
import { Gelu, GeluTanh, Mish, Silu } from './gated'
import { HardSigmoid, HardSwish, HardTanh, LeakyRelu } from './piecewise-linear'
import { Sigmoid, Softsign, Tanh } from './saturating'
import { Softplus } from './softplus'

// The numbers of the curves, as src/ops/activation.ts has them.
const LEAKY_RELU = 0
const HARD_SIGMOID = 1
const HARD_TANH = 2
const HARD_SWISH = 3
const EXPONENTIAL_UNIT = 4
const SIGMOID = 5
const TANH = 6
const SOFTSIGN = 7
const SOFTPLUS = 8
const SILU = 9
const GELU = 10
const GELU_TANH = 11
const MISH = 12

/** The loop over a curve. The instance has no substance: the compiler writes the curve's `value` into the loop. */
function values<C>(x: usize, y: usize, a: f32, b: f32, from: i32, to: i32): void {
  const curve = changetype<C>(<usize>0)
  const first = f32x4.splat(a)
  const second = f32x4.splat(b)
  const end = (<usize>to) << 4
  for (let i = (<usize>from) << 4; i < end; i += 16) v128.store(y + i, curve.value(v128.load(x + i), first, second))
}

function slopes<C>(seen: usize, dy: usize, dx: usize, a: f32, b: f32, accumulate: i32, from: i32, to: i32): void {
  const curve = changetype<C>(<usize>0)
  const first = f32x4.splat(a)
  const second = f32x4.splat(b)
  const end = (<usize>to) << 4
  for (let i = (<usize>from) << 4; i < end; i += 16) {
    let gradient = f32x4.mul(v128.load(dy + i), curve.slope(v128.load(seen + i), first, second))
    if (accumulate) gradient = f32x4.add(v128.load(dx + i), gradient)
    v128.store(dx + i, gradient)
  }
}

/** y = f(x). a and b are the curve's parameters.  f32, units are vectors of 4; y may be x. */
export function curveForward(x: usize, y: usize, curve: i32, a: f32, b: f32, from: i32, to: i32): void {
  switch (curve) {
    case LEAKY_RELU: return values<LeakyRelu>(x, y, a, b, from, to)
    case HARD_SIGMOID: return values<HardSigmoid>(x, y, a, b, from, to)
    case HARD_TANH: return values<HardTanh>(x, y, a, b, from, to)
    case HARD_SWISH: return values<HardSwish>(x, y, a, b, from, to)
    case EXPONENTIAL_UNIT: return values<ExponentialUnit>(x, y, a, b, from, to)
    case SIGMOID: return values<Sigmoid>(x, y, a, b, from, to)
    case TANH: return values<Tanh>(x, y, a, b, from, to)
    case SOFTSIGN: return values<Softsign>(x, y, a, b, from, to)
    case SOFTPLUS: return values<Softplus>(x, y, a, b, from, to)
    case SILU: return values<Silu>(x, y, a, b, from, to)
    case GELU: return values<Gelu>(x, y, a, b, from, to)
    case GELU_TANH: return values<GeluTanh>(x, y, a, b, from, to)
    case MISH: return values<Mish>(x, y, a, b, from, to)
  }
}

/** dx = dy·f', written, or added. `seen` is x or y, as the curve wants it.  f32, units are vectors of 4; dx may be dy. */
export function curveBackward(
  seen: usize,
  dy: usize,
  dx: usize,
  curve: i32,
  a: f32,
  b: f32,
  accumulate: i32,
  from: i32,
  to: i32,
): void {
  switch (curve) {
    case LEAKY_RELU: return slopes<LeakyRelu>(seen, dy, dx, a, b, accumulate, from, to)
    case HARD_SIGMOID: return slopes<HardSigmoid>(seen, dy, dx, a, b, accumulate, from, to)
    case HARD_TANH: return slopes<HardTanh>(seen, dy, dx, a, b, accumulate, from, to)
    case HARD_SWISH: return slopes<HardSwish>(seen, dy, dx, a, b, accumulate, from, to)
    case EXPONENTIAL_UNIT: return slopes<ExponentialUnit>(seen, dy, dx, a, b, accumulate, from, to)
    case SIGMOID: return slopes<Sigmoid>(seen, dy, dx, a, b, accumulate, from, to)
    case TANH: return slopes<Tanh>(seen, dy, dx, a, b, accumulate, from, to)
    case SOFTSIGN: return slopes<Softsign>(seen, dy, dx, a, b, accumulate, from, to)
    case SOFTPLUS: return slopes<Softplus>(seen, dy, dx, a, b, accumulate, from, to)
    case SILU: return slopes<Silu>(seen, dy, dx, a, b, accumulate, from, to)
    case GELU: return slopes<Gelu>(seen, dy, dx, a, b, accumulate, from, to)
    case GELU_TANH: return slopes<GeluTanh>(seen, dy, dx, a, b, accumulate, from, to)
    case MISH: return slopes<Mish>(seen, dy, dx, a, b, accumulate, from, to)
  }
}
