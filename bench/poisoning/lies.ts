// What a liar hands in for one course: everything else in its contribution is honest.

import { type ItemContribution, itemWidth } from '../../federation/robust/item-contribution.js';

/** What becomes of a contribution on its way. */
export type Tamper = (contribution: ItemContribution, institution: number) => ItemContribution;

export interface Lie {
  /** Index of the institution. */
  who: number;
  course: number;
  how: 'A and b' | 'b alone' | 'learners, A and b' | 'as its most popular course' | 'the same x 100';
}

/** @param factors K. */
export function lie({ who, course, how }: Lie, factors: number): Tamper {
  const width = itemWidth(factors);
  return (contribution, institution) => {
    if (institution !== who) return contribution;
    const sums = contribution.sums.slice();
    const counts = contribution.counts.slice();
    const popular = counts.indexOf(Math.max(...counts));
    const dressed = how === 'as its most popular course' || how === 'the same x 100';
    const times = how === 'as its most popular course' ? 1 : 100;
    const from = (dressed ? popular : course) * width;
    for (let k = 0; k < width; k++) {
      const isScaled = k >= width - factors || how !== 'b alone';
      sums[course * width + k] = contribution.sums[from + k]! * (isScaled ? times : 1);
    }
    if (dressed) counts[course] = contribution.counts[popular]!;
    if (how === 'learners, A and b' || how === 'the same x 100') counts[course] = counts[course]! * times;
    return { ...contribution, sums, counts };
  };
}
