// The call that sums over the entries of rows; kernels/binding/addon.ts has its types.
#pragma once

#include <node_api.h>

namespace stoa {

napi_value sumRows(napi_env env, napi_callback_info info);

}  // namespace stoa
