// The data sets of the quality benchmark, what is hidden in each, and the settings that tuning found.

export interface IalsSettings {
  factors: number;
  alpha0: number;
  regularization: number;
  epochs: number;
  /** How rows travel in messages. @default `f32` */
  wire?: 'f32' | 'bf16';
}

export interface CourseSet {
  name: string;
  /** Below the folder of data sets. */
  file: string;
  /** Column whose greatest value marks the hidden interaction of each user; absent: a random one is hidden. */
  orderCol?: string;
  /** For people. */
  hidden: string;
  /** Best on the validation split; `--tune` finds them again. */
  settings: IalsSettings;
}

export const COURSE_SETS: readonly CourseSet[] = [
  {
    name: 'mooc',
    file: 'mooc/interactions.csv.gz',
    orderCol: 'position',
    hidden: 'last course of each learner',
    settings: { factors: 128, alpha0: 0.01, regularization: 0.01, epochs: 8 },
  },
  {
    name: 'udemy',
    file: 'mooc/udemy_interactions.csv.gz',
    orderCol: 'timestamp',
    hidden: 'last course of each learner',
    settings: { factors: 128, alpha0: 0.003, regularization: 0.03, epochs: 16 },
  },
  {
    name: 'xuetangx',
    file: 'mooc/xuetangx_interactions.csv.gz',
    hidden: 'one random course of each learner',
    settings: { factors: 64, alpha0: 0.1, regularization: 0.05, epochs: 16 },
  },
  {
    name: 'oulad',
    file: 'oulad/interactions.csv.gz',
    orderCol: 'first_day',
    hidden: 'last site that each student opened first',
    settings: { factors: 128, alpha0: 0.5, regularization: 0.001, epochs: 16 },
  },
];

/** What independent implementations reached with the same course hidden (../shared/datasets/README.md). */
export const MOOC_REFERENCE: Record<string, { settings?: IalsSettings; hr: number; ndcg: number }> = {
  popular: { hr: 0.0622, ndcg: 0.0337 },
  itemknn: { hr: 0.265, ndcg: 0.1584 },
  ease: { hr: 0.3043, ndcg: 0.183 },
  ials: {
    settings: { factors: 128, alpha0: 0.03, regularization: 0.01, epochs: 8 },
    hr: 0.284,
    ndcg: 0.167,
  },
};
