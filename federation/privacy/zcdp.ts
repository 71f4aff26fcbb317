// Zero-concentrated differential privacy: the looser, simpler account that other systems report. ρ = μ²/2 for Gaussian
// noise, and ρ of several releases add up. Of Rényi order α, (α, αρ).

import { requireDelta } from './gaussian-privacy.js';

/** ε by the bound that needs no search: ρ + 2√(ρ ln(1/δ)). Source: Bun and Steinke, TCC 2016, proposition 1.3. */
export function simpleEpsilon({ rho, delta }: { rho: number; delta: number }): number {
  requireDelta(delta);
  return rho + 2 * Math.sqrt(rho * Math.log(1 / delta));
}

/** Golden ratio less 1: where an interval is divided so that one point of two serves again. */
const GOLDEN = (Math.sqrt(5) - 1) / 2;
/** Each narrows the interval by 0.618: 80 of them from 60 e-folds to below f64's steps. */
const NARROWINGS = 80;

/**
 * ε by Rényi orders: the minimum over α > 1 of αρ + ln((α−1)/α) − ln(δα)/(α−1), and never below 0.
 *
 * Source: Canonne, Kamath and Steinke, "The Discrete Gaussian for Differential Privacy", NeurIPS 2020, on converting
 * concentrated to approximate differential privacy.
 */
export function renyiEpsilon({ rho, delta }: { rho: number; delta: number }): number {
  requireDelta(delta);
  if (rho === 0) return 0;
  // In ln(α − 1) the function falls, then rises; orders from 1 + e^−30 to e^30 hold the minimum of any ρ of use.
  const at = (logOrder: number): number => {
    const less = Math.exp(logOrder);
    const order = 1 + less;
    return order * rho + Math.log(less / order) - Math.log(delta * order) / less;
  };
  let low = -30;
  let high = 30;
  for (let i = 0; i < NARROWINGS; i++) {
    const left = high - GOLDEN * (high - low);
    const right = low + GOLDEN * (high - low);
    if (at(left) <= at(right)) high = right;
    else low = left;
  }
  return Math.max(0, at((low + high) / 2));
}
