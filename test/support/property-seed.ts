// STOA_TEST_SEED fixes the random inputs of all properties. A build server sets it, since it tests a commit: the same
// commit must fare the same there. Elsewhere every run draws new inputs, and a failure prints its seed.

import fc from 'fast-check';

const seed = process.env['STOA_TEST_SEED'];
if (seed !== undefined) fc.configureGlobal({ seed: Number(seed) });
