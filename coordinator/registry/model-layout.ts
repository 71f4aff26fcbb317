import type { RunConfig } from '../plan/run-config.js';

/** What the columns of the factor tables are, where they are not all factors. */
export interface ModelLayout {
  /** The first columns: K factors. Only these say how alike two items are. */
  factors: number;
  /** The columns after them, by table. The inner product of two rows is the score all the same. */
  user_columns: string[];
  item_columns: string[];
}

/** Members of model.json for a model with biases. */
export function layoutOf(config: RunConfig): { layout?: ModelLayout } {
  switch (config.model) {
    case 'bpr': {
      const factors = config['bpr.factors'];
      return { layout: { factors, user_columns: ['one'], item_columns: ['bias'] } };
    }
    case 'mf': {
      const factors = config['mf.factors'];
      return {
        layout: { factors, user_columns: ['one', 'bias + mean rating'], item_columns: ['bias', 'one'] },
      };
    }
    default:
      return {};
  }
}
