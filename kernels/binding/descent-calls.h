// The calls of stochastic gradient descent; kernels/binding/addon.ts has their types.
#pragma once

#include <node_api.h>

namespace stoa {

napi_value drawSamples(napi_env env, napi_callback_info info);
napi_value descend(napi_env env, napi_callback_info info);

}  // namespace stoa
