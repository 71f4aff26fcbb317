#include "sum-calls.h"

#include <new>

#include "../cpp/engine/sum-job.h"
#include "call.h"

namespace stoa {

namespace {

/** Numbers of one typed array of Node at most. */
constexpr int64_t kNumbersMax = 4294967296;

void answerNothing(napi_env, const Job&, napi_value) {}

/** Numbers of a row's sum. */
int64_t lengthOfRow(SumKind kind, int64_t factors, int64_t width) {
  const bool isOuter = kind == SumKind::full || kind == SumKind::block;
  return isOuter ? width * (width + 1) / 2 + width : factors;
}

}  // namespace

/** sumRows(device, table, {rows, ptr, idx, values, operand, kind, start, end, weightScale, targetShift, out}) */
napi_value sumRows(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  DeviceHandle* device = call.device();
  const std::shared_ptr<FactorRows> table = device == nullptr ? nullptr : call.table(1);
  if (table == nullptr) return nullptr;
  Properties properties(env, call.arguments[2]);
  const int64_t K = table->factors;
  SumTask task{};
  SolveTask& of = task.entries;
  of.rows = properties.integer("rows", 0, kRowsMax);
  task.kind = SumKind(properties.integer("kind", 0, 3));
  task.start = int32_t(properties.integer("start", 0, K - 1));
  task.end = int32_t(properties.integer("end", 1, K));
  const int64_t entries = properties.isGood() ? properties.lengthOf("idx") : -1;
  if (!properties.isGood()) return nullptr;
  const int64_t length = lengthOfRow(task.kind, K, task.end - task.start);
  const bool isPart = task.kind == SumKind::block ? task.start < task.end : task.start == 0 && task.end == K;
  if (!isPart || of.rows > kNumbersMax / length) {
    properties.refuse("STOA_SHAPE", isPart ? "the sums of so many rows do not fit one array"
                                           : "start and end are no dimensions of such a sum");
    return nullptr;
  }
  const bool hasValues = readEntries(properties, *table, entries, &of);
  if (task.kind != SumKind::full) task.operand = properties.floats("operand", of.rows * K);
  of.objective.weightScale = properties.number("weightScale");
  of.objective.targetShift = properties.number("targetShift");
  of.objective.usesValues = hasValues;
  task.out = properties.doublesOut("out", of.rows * length);
  if (!checkPtr(properties, "rows.ptr", of.ptr, of.rows, entries) || !properties.checkOverlaps()) return nullptr;
  try {
    const auto job = std::make_shared<SumJob>(task, device->kernels(), table, device->threads());
    return device->run(env, job, nullptr, false, call.arguments[0], call.arguments[2], answerNothing);
  } catch (const std::bad_alloc&) {
    throwError(env, "STOA_DEVICE", "there is no memory to sum rows");
    return nullptr;
  }
}

}  // namespace stoa
