// A call from JavaScript: its arguments, and the handles among them.
#pragma once

#include <node_api.h>

#include <memory>

#include "../cpp/engine/factor-table.h"
#include "arguments.h"
#include "device-handle.h"

namespace stoa {

constexpr napi_type_tag kDeviceTag = {0x5f2a1c0de51b4d07, 0x9b1f6a7d3c884e21};
constexpr napi_type_tag kTableTag = {0x1d8e0b64a97c4f3a, 0xa6c2475be0d19f58};

constexpr int64_t kFactorsMax = 1024;
constexpr int64_t kRowsMax = 2147483646;

struct TableHandle {
  std::shared_ptr<FactorRows> rows;
};

/** The arguments of a call, at most four; missing ones are undefined. */
struct Call {
  napi_env env;
  napi_value arguments[4];

  Call(napi_env environment, napi_callback_info info) : env(environment) {
    size_t count = 4;
    napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  }
  DeviceHandle* device() const {
    auto* device = static_cast<DeviceHandle*>(handleOf(env, arguments[0], kDeviceTag, "native device"));
    if (device == nullptr || !device->isClosed()) return device;
    throwError(env, "STOA_DEVICE", "the native device was closed");
    return nullptr;
  }
  /** The rows of a table; null, with an exception, when it was disposed of. */
  std::shared_ptr<FactorRows> table(int at) const {
    auto* handle = static_cast<TableHandle*>(handleOf(env, arguments[at], kTableTag, "table of the native device"));
    if (handle == nullptr) return nullptr;
    if (handle->rows == nullptr) throwError(env, "STOA_DEVICE", "the table was disposed of");
    return handle->rows;
  }
};

/**
 * Entries of rows, and the table that they gather from: `ptr`, which is not checked yet, `idx`, and `values` where there
 * are any. `task->rows` is read already. True: there are values.
 */
inline bool readEntries(Properties& properties, const FactorRows& table, int64_t entries, SolveTask* task) {
  task->ptr = properties.integers("ptr", task->rows + 1);
  task->idx = properties.integers("idx", entries);
  const bool hasValues = !properties.isAbsent("values");
  if (hasValues) task->values = properties.floats("values", entries);
  task->fixedRows = table.rows;
  task->factors = int32_t(table.factors);
  task->stride = table.stride;
  task->fixed = table.data();
  return hasValues;
}

inline void setNumber(napi_env env, napi_value object, const char* name, double number) {
  napi_value value;
  if (napi_create_double(env, number, &value) == napi_ok) napi_set_named_property(env, object, name, value);
}

}  // namespace stoa
