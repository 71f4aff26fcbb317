// Runs every kernel of every instruction set that the machine has on the same numbers, and prints a hash of each result:
// sets that fuse products and sums must print the same. A program of its own, so that it also runs where Node does not:
// scripts/neon-check.mjs compiles it for arm64 and runs it in an emulator.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vector>

#include "../../kernels/cpp/engine/instruction-sets.h"
#include "../../kernels/cpp/kernel-table.h"

namespace {

using stoa::KernelTable;

/** Memory aligned as tables are. */
template <typename T>
struct Aligned {
  explicit Aligned(size_t count) : count(count), bytes((count * sizeof(T) + 63) / 64 * 64 + 64) {
    data = static_cast<T*>(aligned_alloc(64, bytes));
    memset(data, 0, bytes);
  }
  ~Aligned() { free(data); }
  Aligned(const Aligned&) = delete;
  T* data;
  size_t count;
  size_t bytes;
};

struct Numbers {
  uint64_t state;
  uint32_t next() {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return uint32_t(state >> 33);
  }
  /** -1 to 1, few enough bits that every machine makes the same. */
  float factor() { return float(int(next() % 4097) - 2048) / 2048; }
};

template <typename T>
void report(const KernelTable* kernels, int factors, const char* what, const T* data, size_t count) {
  uint64_t hash = 1469598103934665603u;
  const unsigned char* bytes = reinterpret_cast<const unsigned char*>(data);
  for (size_t i = 0; i < count * sizeof(T); i++) hash = (hash ^ bytes[i]) * 1099511628211u;
  printf("%s K=%d %s %016llx\n", kernels->name, factors, what, static_cast<unsigned long long>(hash));
}

void exerciseDescent(const KernelTable* kernels, int K) {
  constexpr int kUsers = 20;
  constexpr int kItems = 30;
  constexpr int kSamples = 700;
  Numbers numbers{uint64_t(K) + 1};
  const int stride = (K + 15) / 16 * 16;
  const int32_t abort = 0;
  for (const bool hasPairs : {true, false}) {
    Aligned<float> users(size_t(kUsers * stride)), items(size_t(kItems * stride)), userBiases(kUsers),
        itemBiases(kItems);
    std::vector<int32_t> who(kSamples), positives(kSamples), negatives(kSamples), counts(kItems);
    std::vector<float> values(kSamples);
    for (int r = 0; r < kUsers * stride; r++) users.data[r] = r % stride < K ? numbers.factor() / 4 : 0;
    for (int r = 0; r < kItems * stride; r++) items.data[r] = r % stride < K ? numbers.factor() / 4 : 0;
    for (size_t n = 0; n < kSamples; n++) {
      who[n] = int32_t(numbers.next() % kUsers);
      positives[n] = int32_t(numbers.next() % kItems);
      negatives[n] = int32_t(numbers.next() % (kItems + 1)) - 1;
      values[n] = float(numbers.next() % 9) / 2;
    }
    stoa::DescentTask task{};
    task.rows = kUsers;
    task.places = kItems;
    task.factors = K;
    task.stride = stride;
    task.users = users.data;
    task.items = items.data;
    task.userBiases = userBiases.data;
    task.itemBiases = itemBiases.data;
    task.counts = counts.data();
    task.sampleUsers = who.data();
    task.positives = positives.data();
    task.negatives = hasPairs ? negatives.data() : nullptr;
    task.values = hasPairs ? nullptr : values.data();
    task.regularization = 0.02;
    task.mean = hasPairs ? 0 : 2;
    task.abort = &abort;
    stoa::DescentSums sums;
    stoa::RowFailure failure;
    const stoa::Descend descend = hasPairs ? kernels->descendPairs : kernels->descendRatings;
    if (!descend(task, 0, kSamples, 0.01, &sums, &failure)) printf("%s K=%d descent failed\n", kernels->name, K);
    const char* what = hasPairs ? "pairs" : "ratings";
    report(kernels, K, what, users.data, users.count);
    report(kernels, K, what, items.data, items.count);
    report(kernels, K, what, itemBiases.data, itemBiases.count);
    report(kernels, K, what, &sums.loss, 1);
  }
}

void exercise(const KernelTable* kernels, int K) {
  constexpr int kRows = 45;
  constexpr int kColumns = 150;
  Numbers numbers{uint64_t(K)};
  const int stride = (K + 15) / 16 * 16;
  const size_t wide = size_t(stride);
  const int32_t abort = 0;
  stoa::Scratch scratch;
  stoa::RowFailure failure;

  Aligned<float> fixed(kColumns * wide), rotated(kColumns * wide), prior(size_t(kRows) * size_t(K)),
      out(size_t(kRows) * size_t(K));
  for (int r = 0; r < kColumns; r++)
    for (int k = 0; k < K; k++) fixed.data[size_t(r) * wide + size_t(k)] = numbers.factor();
  for (size_t i = 0; i < prior.count; i++) prior.data[i] = numbers.factor();
  std::vector<int32_t> ptr{0}, idx;
  std::vector<float> values;
  for (int r = 0; r < kRows; r++) {
    for (int c = 0; c < kColumns; c++) {
      if (numbers.next() % uint32_t(kRows) >= uint32_t(r)) continue;
      idx.push_back(c);
      values.push_back(float(1 + numbers.next() % 9) / 2);
    }
    ptr.push_back(int32_t(idx.size()));
  }

  std::vector<double> packed(size_t(K) * size_t(K + 1) / 2), gram(size_t(K) * size_t(K));
  kernels->gram(fixed.data, kColumns, stride, K, packed.data(), &scratch, &abort);
  report(kernels, K, "gram", packed.data(), packed.size());
  for (int r = 0; r < K; r++)
    for (int c = 0; c <= r; c++) {
      const double value = packed[size_t(r) * size_t(r + 1) / 2 + size_t(c)];
      gram[size_t(r) * size_t(K) + size_t(c)] = gram[size_t(c) * size_t(K) + size_t(r)] = value;
    }
  std::vector<double> vectors(gram.size()), work(gram.size() + 3 * size_t(K)), eigenvalues(static_cast<size_t>(K));
  std::vector<double> copy = gram;
  kernels->eigenbasis(copy.data(), K, eigenvalues.data(), vectors.data(), work.data(), &abort);
  report(kernels, K, "eigenvalues", eigenvalues.data(), eigenvalues.size());
  Aligned<double> exact(size_t(K) * wide);
  Aligned<float> basis(size_t(K) * wide), transposed(size_t(K) * wide);
  for (int r = 0; r < K; r++)
    for (int c = 0; c < K; c++) {
      const double v = vectors[size_t(r) * size_t(K) + size_t(c)];
      exact.data[size_t(c) * wide + size_t(r)] = v;
      transposed.data[size_t(r) * wide + size_t(c)] = float(v);
      basis.data[size_t(c) * wide + size_t(r)] = float(v);
    }
  kernels->rotateExactly(fixed.data, kColumns, stride, K, exact.data, stride, rotated.data);
  report(kernels, K, "rotateExactly", rotated.data, kColumns * wide);
  Aligned<uint16_t> half(kColumns * wide);
  kernels->toHalf(rotated.data, int64_t(kColumns * wide), 8, half.data);
  report(kernels, K, "toHalf", half.data, kColumns * wide);

  stoa::SolveTask task{};
  task.rows = kRows;
  task.ptr = ptr.data();
  task.idx = idx.data();
  task.values = values.data();
  task.fixedRows = kColumns;
  task.factors = K;
  task.stride = stride;
  task.fixed = fixed.data;
  task.rotated = rotated.data;
  task.gram = gram.data();
  task.eigenvalues = eigenvalues.data();
  task.basis = basis.data;
  task.basisTransposed = transposed.data;
  task.objective = {1, 2, true, 1, 0.1, 0, 1};
  task.prior = prior.data;
  task.out = out.data;
  task.steps = 3;
  task.block = 24;
  task.abort = &abort;
  const auto solved = [&](const char* what, bool isDone) {
    if (!isDone) printf("%s K=%d %s failed at row %lld\n", kernels->name, K, what, static_cast<long long>(failure.row));
    report(kernels, K, what, out.data, out.count);
  };
  solved("cholesky", kernels->solveByCholesky(task, 0, kRows, &scratch, &failure));
  stoa::LossSums loss;
  kernels->loss(task, 0, kRows, &loss);
  report(kernels, K, "loss", &loss.observed, 1);
  solved("cg", kernels->solveByConjugateGradients(task, 0, kRows, &scratch, &failure));
  task.rotated = nullptr;
  task.rotatedHalf = half.data;
  task.halfShift = 8;
  solved("cg on half precision", kernels->solveByConjugateGradients(task, 0, kRows, &scratch, &failure));
  if (K > task.block) solved("ials++", kernels->solveBySubspaces(task, 0, kRows, &scratch, &failure));

  constexpr stoa::SumKind kKinds[] = {stoa::SumKind::full, stoa::SumKind::residual, stoa::SumKind::product,
                                      stoa::SumKind::block};
  for (const stoa::SumKind kind : kKinds) {
    stoa::SumTask sum{};
    sum.entries = task;
    sum.kind = kind;
    sum.start = kind == stoa::SumKind::block ? K / 3 : 0;
    sum.end = K;
    sum.operand = prior.data;
    const size_t width = size_t(sum.end - sum.start);
    const bool isOuter = kind == stoa::SumKind::full || kind == stoa::SumKind::block;
    std::vector<double> sums(kRows * (isOuter ? width * (width + 1) / 2 + width : size_t(K)));
    sum.out = sums.data();
    if (!kernels->sumRows(sum, 0, kRows, &scratch, &failure)) printf("%s K=%d sums failed\n", kernels->name, K);
    report(kernels, K, "sums", sums.data(), sums.size());
  }

  std::vector<float> scores(idx.size());
  kernels->score(prior.data, 0, kRows, fixed.data, kColumns, stride, K, ptr.data(), idx.data(), scores.data(), &abort,
                 &scratch, &failure);
  report(kernels, K, "score", scores.data(), scores.size());
  std::vector<double> squares(kColumns);
  kernels->squaredNorms(fixed.data, kColumns, stride, K, squares.data());
  report(kernels, K, "squaredNorms", squares.data(), squares.size());
  exerciseDescent(kernels, K);
  free(scratch.memory);
}

}  // namespace

int main() {
  for (const KernelTable* kernels : stoa::usableKernels())
    for (int K : {1, 16, 19, 64, 130}) exercise(kernels, K);
  return 0;
}
