#include "descent-calls.h"

#include <new>
#include <string>

#include "../cpp/engine/descent-job.h"
#include "../cpp/engine/draw-job.h"
#include "call.h"

namespace stoa {

namespace {

/** The order of a block's entries is over 2^30 of them at most. */
constexpr int64_t kEntriesMax = 1073741824;
constexpr int64_t kStepsOfTaskMax = 1000000;
constexpr int64_t kSeedMax = 9007199254740991;
constexpr int64_t kWordMax = 4294967295;

/** Samples of all steps, or -1 with an exception when a step is not a part of an epoch. */
int64_t countSamples(Properties& properties, const int32_t* parts, int64_t steps, int64_t entries) {
  int64_t samples = 0;
  for (int64_t step = 0; step < steps; step++) {
    const int32_t* part = parts + 3 * step;
    if (part[0] < 0 || part[1] < 0 || part[2] < part[1] || part[2] > entries) {
      properties.refuse("STOA_SHAPE", "step " + std::to_string(step) + " is no part of the " +
                                          std::to_string(entries) + " entries of an epoch");
      return -1;
    }
    samples += part[2] - part[1];
  }
  if (samples <= kEntriesMax) return samples;
  properties.refuse("STOA_SHAPE", "the steps have more than " + std::to_string(kEntriesMax) + " samples");
  return -1;
}

bool checkStepEnds(Properties& properties, const int32_t* ends, int64_t steps, int64_t samples) {
  if (!properties.isGood()) return false;
  int64_t last = 0;
  for (int64_t step = 0; step < steps; step++) {
    if (ends[step] < last || ends[step] > samples) break;
    last = ends[step];
    if (step + 1 == steps && last == samples) return true;
  }
  if (steps == 0 && samples == 0) return true;
  properties.refuse("STOA_SHAPE", "stepEnds does not ascend to the " + std::to_string(samples) + " samples");
  return false;
}

void answerDrawn(napi_env env, const Job& job, napi_value answer) {
  const auto& draw = static_cast<const DrawJob&>(job);
  setNumber(env, answer, "ms", draw.milliseconds());
  setNumber(env, answer, "itemCount", double(draw.itemCount()));
}

void answerDescended(napi_env env, const Job& job, napi_value answer) {
  const auto& descent = static_cast<const DescentJob&>(job);
  setNumber(env, answer, "ms", descent.milliseconds());
  setNumber(env, answer, "loss", descent.sums().loss);
  setNumber(env, answer, "samples", double(descent.sums().samples));
}

}  // namespace

/** drawSamples(device, {rows, cols, ptr, idx, …}) */
napi_value drawSamples(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  DeviceHandle* device = call.device();
  if (device == nullptr) return nullptr;
  Properties properties(env, call.arguments[1]);
  DrawArguments a{};
  a.rows = properties.integer("rows", 0, kRowsMax);
  a.cols = properties.integer("cols", 0, kRowsMax);
  a.seed = uint64_t(properties.integer("seed", 0, kSeedMax));
  a.block = uint32_t(properties.integer("block", 0, kWordMax));
  a.steps = properties.integer("steps", 0, kStepsOfTaskMax);
  a.hasNegatives = properties.boolean("hasNegatives");
  a.entries = properties.isGood() ? properties.lengthOf("idx") : -1;
  if (!properties.isGood()) return nullptr;
  if (a.entries > kEntriesMax) {
    properties.refuse("STOA_SHAPE", "a block has more than " + std::to_string(kEntriesMax) + " entries");
    return nullptr;
  }
  a.ptr = properties.integers("ptr", a.rows + 1);
  a.idx = properties.integers("idx", a.entries);
  if (!properties.isAbsent("values")) a.values = properties.floats("values", a.entries);
  if (!properties.isAbsent("cumulative")) a.cumulative = properties.doubles("cumulative", a.cols);
  a.parts = properties.integers("parts", 3 * a.steps);
  if (!checkPtr(properties, "block.ptr", a.ptr, a.rows, a.entries)) return nullptr;
  const int64_t samples = countSamples(properties, a.parts, a.steps, a.entries);
  if (samples < 0) return nullptr;
  a.users = properties.integersOut("users", samples);
  a.positives = properties.integersOut("positives", samples);
  a.negatives = properties.integersOut("negatives", a.hasNegatives ? samples : 0);
  a.sampleValues = properties.floatsOut("sampleValues", a.hasNegatives ? 0 : samples);
  a.items = properties.integersOut("items", a.cols);
  if (!properties.checkOverlaps()) return nullptr;
  try {
    const auto job = std::make_shared<DrawJob>(a);
    return device->run(env, job, nullptr, false, call.arguments[0], call.arguments[1], answerDrawn);
  } catch (const std::bad_alloc&) {
    throwError(env, "STOA_DEVICE", "there is no memory to draw samples");
    return nullptr;
  }
}

/** descend(device, {hasPairs, rows, places, factors, …}) */
napi_value descend(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  DeviceHandle* device = call.device();
  if (device == nullptr) return nullptr;
  Properties properties(env, call.arguments[1]);
  DescentArguments a{};
  a.hasPairs = properties.boolean("hasPairs");
  a.rows = properties.integer("rows", 0, kRowsMax);
  a.places = properties.integer("places", 0, kRowsMax);
  a.factors = int32_t(properties.integer("factors", 1, kFactorsMax));
  a.steps = properties.integer("steps", 0, kStepsOfTaskMax);
  a.regularization = properties.number("regularization");
  a.mean = properties.number("mean");
  const int64_t samples = properties.isGood() ? properties.lengthOf("sampleUsers") : -1;
  if (!properties.isGood()) return nullptr;
  const int64_t columns = a.factors + (a.hasPairs ? 1 : 2);
  a.stepEnds = properties.integers("stepEnds", a.steps);
  a.rates = properties.doubles("rates", a.steps);
  a.users = properties.floats("users", a.rows * columns);
  a.items = properties.floats("items", a.places * columns);
  a.sampleUsers = properties.integers("sampleUsers", samples);
  a.positives = properties.integers("positives", samples);
  a.negatives = properties.integers("negatives", a.hasPairs ? samples : 0);
  a.values = properties.floats("values", a.hasPairs ? 0 : samples);
  a.outUsers = properties.floatsOut("outUsers", a.rows * columns);
  a.deltas = properties.floatsOut("deltas", a.places * columns);
  a.counts = properties.integersOut("counts", a.places);
  if (!checkStepEnds(properties, a.stepEnds, a.steps, samples) || !properties.checkOverlaps()) return nullptr;
  try {
    const auto job = std::make_shared<DescentJob>(a, device->kernels());
    return device->run(env, job, nullptr, false, call.arguments[0], call.arguments[1], answerDescended);
  } catch (const std::bad_alloc&) {
    throwError(env, "STOA_DEVICE", "there is no memory to descend");
    return nullptr;
  }
}

}  // namespace stoa
