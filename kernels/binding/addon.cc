// The module as JavaScript sees it: kernels/binding/addon.ts has the types. Every argument is checked here; what is
// called knows pointers, lengths and numbers only.

#include <node_api.h>

#include <cmath>
#include <new>
#include <string>

#include "../cpp/engine/eigen-job.h"
#include "../cpp/engine/instruction-sets.h"
#include "../cpp/engine/rank-job.h"
#include "../cpp/engine/solve-job.h"
#include "arguments.h"
#include "call.h"
#include "descent-calls.h"
#include "device-handle.h"
#include "sum-calls.h"

namespace stoa {
namespace {

constexpr int64_t kThreadsMax = 1024;
constexpr int64_t kStepsMax = 1000000;
constexpr int64_t kTopNMax = 10000;

napi_value instructionSets(napi_env env, napi_callback_info) {
  napi_value list;
  if (napi_create_array(env, &list) != napi_ok) return nullptr;
  uint32_t at = 0;
  for (const KernelTable* kernels : usableKernels()) {
    napi_value name;
    if (napi_create_string_utf8(env, kernels->name, NAPI_AUTO_LENGTH, &name) == napi_ok) {
      napi_set_element(env, list, at++, name);
    }
  }
  return list;
}

/** open({threads, isa}) */
napi_value open(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  Properties properties(env, call.arguments[0]);
  const int64_t threads = properties.integer("threads", 1, kThreadsMax);
  char isa[16] = {};
  size_t length = 0;
  const napi_value name = properties.object("isa");
  if (!properties.isGood()) return nullptr;
  if (napi_get_value_string_utf8(env, name, isa, sizeof isa, &length) != napi_ok) {
    throwError(env, "STOA_SHAPE", "isa is not a text");
    return nullptr;
  }
  const KernelTable* kernels = findKernels(isa);
  if (kernels == nullptr) {
    throwError(env, "STOA_DEVICE", std::string("this processor does not have the instruction set \"") + isa + "\"");
    return nullptr;
  }
  DeviceHandle* device = DeviceHandle::create(env, int(threads), kernels);
  if (device == nullptr) return nullptr;
  return makeHandle(env, device, kDeviceTag,
                    [](napi_env, void* object, void*) { delete static_cast<DeviceHandle*>(object); });
}

/** close(device) */
napi_value close(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  auto* device = static_cast<DeviceHandle*>(handleOf(env, call.arguments[0], kDeviceTag, "native device"));
  if (device != nullptr) device->close();
  return nullptr;
}

/** cancel(device, call) */
napi_value cancel(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  DeviceHandle* device = call.device();
  int64_t number = 0;
  if (device == nullptr) return nullptr;
  if (napi_get_value_int64(env, call.arguments[1], &number) == napi_ok) device->cancel(number);
  return nullptr;
}

/** createTable({rows, factors}) */
napi_value createTable(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  Properties properties(env, call.arguments[0]);
  const int64_t rows = properties.integer("rows", 0, kRowsMax);
  const int64_t factors = properties.integer("factors", 1, kFactorsMax);
  if (!properties.isGood()) return nullptr;
  try {
    std::unique_ptr<TableHandle> handle(new TableHandle{std::make_shared<FactorRows>(rows, int32_t(factors))});
    int64_t ignored;
    napi_adjust_external_memory(env, int64_t(handle->rows->bytes()), &ignored);
    return makeHandle(env, handle.release(), kTableTag, [](napi_env environment, void* object, void*) {
      auto* table = static_cast<TableHandle*>(object);
      int64_t total;
      if (table->rows != nullptr) napi_adjust_external_memory(environment, -int64_t(table->rows->bytes()), &total);
      delete table;
    });
  } catch (const std::bad_alloc&) {
    throwError(env, "STOA_DEVICE",
               "there is no memory for a table of " + std::to_string(rows) + " rows and " + std::to_string(factors) +
                   " factors");
    return nullptr;
  }
}

/** disposeTable(table): frees the rows once no call reads them. */
napi_value disposeTable(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  auto* handle =
      static_cast<TableHandle*>(handleOf(env, call.arguments[0], kTableTag, "table of the native device"));
  if (handle == nullptr || handle->rows == nullptr) return nullptr;
  int64_t total;
  napi_adjust_external_memory(env, -int64_t(handle->rows->bytes()), &total);
  handle->rows.reset();
  return nullptr;
}

/** Rows `rowStart` to `rowStart + count` of the table, or an exception. */
bool checkRows(Properties& properties, const FactorRows& table, int64_t* rowStart, int64_t* count) {
  *rowStart = properties.integer("rowStart", 0, table.rows);
  *count = properties.integer("count", 0, table.rows);
  if (!properties.isGood()) return false;
  if (*rowStart + *count <= table.rows) return true;
  properties.refuse("STOA_SHAPE", "rows " + std::to_string(*rowStart) + " to " + std::to_string(*rowStart + *count) +
                                      " are not a range of a table of " + std::to_string(table.rows) + " rows");
  return false;
}

/** writeTable(table, {rowStart, count, data}) */
napi_value writeTable(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  const std::shared_ptr<FactorRows> table = call.table(0);
  if (table == nullptr) return nullptr;
  Properties properties(env, call.arguments[1]);
  int64_t rowStart, count;
  if (!checkRows(properties, *table, &rowStart, &count)) return nullptr;
  const float* data = properties.floats("data", count * table->factors);
  if (properties.isGood() && count > 0) table->write(rowStart, count, data);
  return nullptr;
}

/** readTable(table, {rowStart, count, data}) */
napi_value readTable(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  const std::shared_ptr<FactorRows> table = call.table(0);
  if (table == nullptr) return nullptr;
  Properties properties(env, call.arguments[1]);
  int64_t rowStart, count;
  if (!checkRows(properties, *table, &rowStart, &count)) return nullptr;
  float* data = properties.floatsOut("data", count * table->factors);
  if (properties.isGood() && count > 0) table->read(rowStart, count, data);
  return nullptr;
}

bool checkFinite(Properties& properties, const char* what, const double* values, int64_t count) {
  if (!properties.isGood()) return false;
  for (int64_t i = 0; i < count; i++) {
    if (std::isfinite(values[i])) continue;
    properties.refuse("STOA_NUMERIC_NOT_FINITE", std::string(what) + " holds a number that is not finite");
    return false;
  }
  return true;
}

void answerSolve(napi_env env, const Job& job, napi_value answer) {
  const auto& solve = static_cast<const SolveJob&>(job);
  setNumber(env, answer, "ms", solve.milliseconds());
  setNumber(env, answer, "observed", solve.loss().observed);
  setNumber(env, answer, "penalty", solve.loss().penalty);
}

void answerNothing(napi_env, const Job&, napi_value) {}

void readObjective(Properties& properties, bool hasValues, Objective* objective) {
  objective->gramScale = properties.number("gramScale");
  objective->weightScale = properties.number("weightScale");
  objective->usesValues = hasValues;
  objective->targetShift = properties.number("targetShift");
  objective->regularization = properties.number("regularization");
  objective->countShift = properties.number("countShift");
  objective->exponent = properties.number("exponent");
}

/** solveBlock(device, table, task) */
napi_value solveBlock(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  DeviceHandle* device = call.device();
  const std::shared_ptr<FactorRows> table = device == nullptr ? nullptr : call.table(1);
  if (table == nullptr) return nullptr;
  Properties properties(env, call.arguments[2]);
  const int64_t K = table->factors;
  SolveTask task{};
  task.rows = properties.integer("rows", 0, kRowsMax);
  const int64_t solver = properties.integer("solver", 0, 2);
  const int64_t entries = properties.isGood() ? properties.lengthOf("idx") : -1;
  if (!properties.isGood()) return nullptr;
  const bool hasValues = readEntries(properties, *table, entries, &task);
  task.gram = properties.doubles("gram", K * K);
  if (!properties.isAbsent("prior")) task.prior = properties.floats("prior", task.rows * K);
  task.out = properties.floatsOut("out", task.rows * K);
  double* outGram = properties.doublesOut("outGram", K * (K + 1) / 2);
  task.steps = int32_t(properties.integer("steps", 1, kStepsMax));
  task.block = int32_t(properties.integer("block", 1, kFactorsMax));
  readObjective(properties, hasValues, &task.objective);
  const bool wantLoss = properties.boolean("wantLoss");
  const bool isHalf = properties.boolean("isHalf");
  if (!checkPtr(properties, "block.ptr", task.ptr, task.rows, entries)) return nullptr;
  if (!checkFinite(properties, "the Gram of the fixed side", task.gram, K * K)) return nullptr;
  if (!properties.checkOverlaps()) return nullptr;
  try {
    // A block of all dimensions is the exact solution, which the exact solver finds faster.
    const Solver which = solver == 1                       ? Solver::conjugateGradients
                         : solver == 2 && task.block < K ? Solver::subspaces
                                                         : Solver::cholesky;
    Derived<EigenRows> derived;
    bool isNew = false;
    if (which != Solver::subspaces) {
      derived = eigenRowsOf(table, device->kernels(), task.gram, isHalf && which == Solver::conjugateGradients, &isNew);
    }
    const auto job = std::make_shared<SolveJob>(task, which, device->kernels(), table, derived.value, outGram, wantLoss,
                                                device->threads());
    return device->run(env, job, derived.job, isNew, call.arguments[0], call.arguments[2], answerSolve);
  } catch (const std::bad_alloc&) {
    throwError(env, "STOA_DEVICE", "there is no memory for a block");
    return nullptr;
  }
}

/** topN(device, table, {queries, count, n, excludePtr, excludeIdx, ids, scores}) */
napi_value topN(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  DeviceHandle* device = call.device();
  const std::shared_ptr<FactorRows> table = device == nullptr ? nullptr : call.table(1);
  if (table == nullptr) return nullptr;
  Properties properties(env, call.arguments[2]);
  RankTask task{};
  task.count = properties.integer("count", 0, kRowsMax);
  task.n = properties.integer("n", 1, kTopNMax);
  task.queries = properties.floats("queries", task.count * table->factors);
  if (!properties.isAbsent("excludePtr")) {
    const int64_t entries = properties.lengthOf("excludeIdx");
    task.excludePtr = properties.integers("excludePtr", task.count + 1);
    task.excludeIdx = properties.integers("excludeIdx", entries);
    if (!checkPtr(properties, "exclude.ptr", task.excludePtr, task.count, entries)) return nullptr;
  }
  task.ids = properties.integersOut("ids", task.count * task.n);
  task.scores = properties.floatsOut("scores", task.count * task.n);
  if (!properties.checkOverlaps()) return nullptr;
  try {
    bool isNew = false;
    const Derived<NormOrder> order = normOrderOf(table, device->kernels(), &isNew);
    const auto job = std::make_shared<RankJob>(task, device->kernels(), table, order.value);
    return device->run(env, job, order.job, isNew, call.arguments[0], call.arguments[2], answerNothing);
  } catch (const std::bad_alloc&) {
    throwError(env, "STOA_DEVICE", "there is no memory to rank");
    return nullptr;
  }
}

/** score(device, table, {queries, count, ptr, idx, scores}) */
napi_value score(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  DeviceHandle* device = call.device();
  const std::shared_ptr<FactorRows> table = device == nullptr ? nullptr : call.table(1);
  if (table == nullptr) return nullptr;
  Properties properties(env, call.arguments[2]);
  const int64_t count = properties.integer("count", 0, kRowsMax);
  const float* queries = properties.floats("queries", count * table->factors);
  const int64_t entries = properties.isGood() ? properties.lengthOf("idx") : -1;
  if (!properties.isGood()) return nullptr;
  const int32_t* ptr = properties.integers("ptr", count + 1);
  const int32_t* idx = properties.integers("idx", entries);
  float* out = properties.floatsOut("scores", entries);
  if (!checkPtr(properties, "pairs.ptr", ptr, count, entries) || !properties.checkOverlaps()) return nullptr;
  try {
    const auto job = std::make_shared<ScoreJob>(device->kernels(), table, queries, count, ptr, idx, out);
    return device->run(env, job, nullptr, false, call.arguments[0], call.arguments[2], answerNothing);
  } catch (const std::bad_alloc&) {
    throwError(env, "STOA_DEVICE", "there is no memory to score");
    return nullptr;
  }
}

struct Export {
  const char* name;
  napi_callback call;
};

constexpr Export kExports[] = {
    {"instructionSets", instructionSets}, {"open", open},
    {"close", close},                     {"cancel", cancel},
    {"createTable", createTable},         {"disposeTable", disposeTable},
    {"writeTable", writeTable},           {"readTable", readTable},
    {"solveBlock", solveBlock},           {"topN", topN},
    {"score", score},                     {"drawSamples", drawSamples},
    {"descend", descend},                 {"sumRows", sumRows},
};

}  // namespace
}  // namespace stoa

NAPI_MODULE_INIT() {
  for (const stoa::Export& one : stoa::kExports) {
    napi_value function;
    if (napi_create_function(env, one.name, NAPI_AUTO_LENGTH, one.call, nullptr, &function) != napi_ok ||
        napi_set_named_property(env, exports, one.name, function) != napi_ok) {
      return nullptr;
    }
  }
  return exports;
}
