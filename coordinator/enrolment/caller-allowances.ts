// The allowances of all callers: one for each member, and one for each address of callers who are no members.

import {
  Allowance,
  DEFAULT_LIMITS,
  type MemberLimits,
  STRANGER_LIMITS,
} from '../../federation/trust/allowance.js';

/** Addresses that are told apart at once: 2 MB. Whoever comes from yet another shares one allowance with the others. */
const ADDRESSES_MAX = 10_000;
/** How often idle addresses are forgotten, at most. */
const FORGET_MS = 1000;

export interface CallerLimits {
  /** Of every member. @default DEFAULT_LIMITS */
  limits?: MemberLimits;
  /** Of every address. @default STRANGER_LIMITS */
  strangerLimits?: MemberLimits;
}

export class CallerAllowances {
  readonly #limits: CallerLimits;
  /** Bounded by the members there are. */
  readonly #members = new Map<string, Allowance>();
  /** `size <= ADDRESSES_MAX`, besides the shared one. */
  readonly #addresses = new Map<string, Allowance>();
  #forgotAtMs = Number.NEGATIVE_INFINITY;

  constructor(limits: CallerLimits) {
    this.#limits = limits;
  }

  ofMember(name: string, nowMs: number): Allowance {
    const { limits = DEFAULT_LIMITS } = this.#limits;
    return found(this.#members, name, () => new Allowance(name, limits, nowMs));
  }

  /** @param peer "IP:PORT" as grpc-js has it; without brackets around IPv6. */
  ofAddress(peer: string, nowMs: number): Allowance {
    const { strangerLimits = STRANGER_LIMITS } = this.#limits;
    const make = () => new Allowance('this address', strangerLimits, nowMs);
    const address = addressOf(peer);
    if (!this.#addresses.has(address) && this.#addresses.size >= ADDRESSES_MAX) this.#forgetIdle(nowMs);
    const isFull = !this.#addresses.has(address) && this.#addresses.size >= ADDRESSES_MAX;
    return found(this.#addresses, isFull ? 'others' : address, make);
  }

  #forgetIdle(nowMs: number): void {
    if (nowMs < this.#forgotAtMs + FORGET_MS) return;
    this.#forgotAtMs = nowMs;
    for (const [address, allowance] of this.#addresses) {
      if (allowance.isIdle(nowMs)) this.#addresses.delete(address);
    }
  }
}

/** An IPv4 address, or the 64 bits of an IPv6 address that name a network: the rest is free to choose for who has it. */
export function addressOf(peer: string): string {
  const address = peer
    .replace(/:\d+$/, '')
    .replace(/^\[|\]$/g, '')
    .replace(/^::ffff:(?=\d+\.)/i, '');
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.split('::');
  const groups = head.split(':').filter((group) => group !== '');
  const missing =
    tail === undefined ? 0 : 8 - groups.length - tail.split(':').filter((group) => group !== '').length;
  const all = [...groups, ...Array<string>(Math.max(0, missing)).fill('0'), ...(tail ?? '').split(':')];
  return `${all
    .slice(0, 4)
    .map((group) => group.toLowerCase().replace(/^0+(?=.)/, ''))
    .join(':')}::/64`;
}

function found(map: Map<string, Allowance>, name: string, make: () => Allowance): Allowance {
  const known = map.get(name);
  if (known !== undefined) return known;
  const made = make();
  map.set(name, made);
  return made;
}
