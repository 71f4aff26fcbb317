#include "arguments.h"

#include <math.h>

namespace stoa {

void throwError(napi_env env, const char* code, const std::string& message) {
  bool isPending = false;
  napi_is_exception_pending(env, &isPending);
  if (!isPending) napi_throw_error(env, code, message.c_str());
}

napi_value makeHandle(napi_env env, void* object, const napi_type_tag& tag, napi_finalize finalize) {
  napi_value handle;
  if (napi_create_object(env, &handle) != napi_ok || napi_type_tag_object(env, handle, &tag) != napi_ok ||
      napi_wrap(env, handle, object, finalize, nullptr, nullptr) != napi_ok) {
    throwError(env, "STOA_DEVICE", "the native device could not make a handle");
    return nullptr;
  }
  return handle;
}

void* handleOf(napi_env env, napi_value value, const napi_type_tag& tag, const char* what) {
  napi_valuetype type = napi_undefined;
  bool isTagged = false;
  void* object = nullptr;
  if (napi_typeof(env, value, &type) == napi_ok && type == napi_object &&
      napi_check_object_type_tag(env, value, &tag, &isTagged) == napi_ok && isTagged &&
      napi_unwrap(env, value, &object) == napi_ok && object != nullptr) {
    return object;
  }
  throwError(env, "STOA_SHAPE", std::string("the argument is not a ") + what);
  return nullptr;
}

bool Properties::checkObject() {
  napi_valuetype type = napi_undefined;
  if (napi_typeof(env_, object_, &type) == napi_ok && type == napi_object) return true;
  throwError(env_, "STOA_SHAPE", "an object with the arguments was expected");
  return false;
}

void Properties::refuse(const char* code, const std::string& message) {
  isGood_ = false;
  throwError(env_, code, message);
}

napi_value Properties::property(const char* name) {
  napi_value value = nullptr;
  if (isGood_ && napi_get_named_property(env_, object_, name, &value) != napi_ok) {
    refuse("STOA_SHAPE", std::string(name) + " cannot be read");
  }
  return value;
}

napi_value Properties::object(const char* name) { return property(name); }

bool Properties::isAbsent(const char* name) {
  const napi_value value = property(name);
  napi_valuetype type = napi_undefined;
  if (value != nullptr) napi_typeof(env_, value, &type);
  return type == napi_undefined;
}

double Properties::number(const char* name) {
  const napi_value value = property(name);
  double number = 0;
  if (!isGood_) return 0;
  if (napi_get_value_double(env_, value, &number) != napi_ok) {
    refuse("STOA_SHAPE", std::string(name) + " is not a number");
  } else if (!std::isfinite(number)) {
    refuse("STOA_NUMERIC_NOT_FINITE", std::string(name) + " is not a finite number");
  }
  return isGood_ ? number : 0;
}

int64_t Properties::integer(const char* name, int64_t least, int64_t most) {
  const napi_value value = property(name);
  double number = 0;
  if (!isGood_) return 0;
  if (napi_get_value_double(env_, value, &number) == napi_ok && number >= double(least) && number <= double(most) &&
      number == std::floor(number)) {
    return int64_t(number);
  }
  refuse("STOA_SHAPE",
         std::string(name) + " is not a whole number from " + std::to_string(least) + " to " + std::to_string(most));
  return 0;
}

bool Properties::boolean(const char* name) {
  const napi_value value = property(name);
  bool flag = false;
  if (isGood_ && napi_get_value_bool(env_, value, &flag) != napi_ok) {
    refuse("STOA_SHAPE", std::string(name) + " is not true or false");
  }
  return flag;
}

int64_t Properties::lengthOf(const char* name) {
  const napi_value value = property(name);
  bool isArray = false;
  size_t length = 0;
  if (isGood_ && napi_is_typedarray(env_, value, &isArray) == napi_ok && isArray &&
      napi_get_typedarray_info(env_, value, nullptr, &length, nullptr, nullptr, nullptr) == napi_ok) {
    return int64_t(length);
  }
  refuse("STOA_SHAPE", std::string(name) + " is not a typed array");
  return -1;
}

void* Properties::array(const char* name, napi_typedarray_type type, const char* typeName, int64_t length,
                        size_t elementBytes, std::vector<Bytes>* list) {
  const napi_value value = property(name);
  if (!isGood_) return nullptr;
  bool isArray = false;
  napi_typedarray_type found = napi_int8_array;
  size_t foundLength = 0;
  void* data = nullptr;
  if (napi_is_typedarray(env_, value, &isArray) != napi_ok || !isArray ||
      napi_get_typedarray_info(env_, value, &found, &foundLength, &data, nullptr, nullptr) != napi_ok || found != type) {
    refuse("STOA_SHAPE", std::string(name) + " is not a " + typeName);
    return nullptr;
  }
  if (foundLength != size_t(length)) {
    refuse("STOA_SHAPE", std::string(name) + " has length " + std::to_string(foundLength) + " where " +
                             std::to_string(length) + " was expected");
    return nullptr;
  }
  if (length == 0) return nullptr;
  if (data == nullptr || reinterpret_cast<uintptr_t>(data) % elementBytes != 0) {
    refuse("STOA_SHAPE", std::string(name) + " has no memory, or memory that is not aligned");
    return nullptr;
  }
  list->push_back({name, static_cast<char*>(data), size_t(length) * elementBytes});
  return data;
}

const float* Properties::floats(const char* name, int64_t length) {
  return static_cast<const float*>(array(name, napi_float32_array, "Float32Array", length, 4, &read_));
}
const double* Properties::doubles(const char* name, int64_t length) {
  return static_cast<const double*>(array(name, napi_float64_array, "Float64Array", length, 8, &read_));
}
const int32_t* Properties::integers(const char* name, int64_t length) {
  return static_cast<const int32_t*>(array(name, napi_int32_array, "Int32Array", length, 4, &read_));
}
float* Properties::floatsOut(const char* name, int64_t length) {
  return static_cast<float*>(array(name, napi_float32_array, "Float32Array", length, 4, &written_));
}
double* Properties::doublesOut(const char* name, int64_t length) {
  return static_cast<double*>(array(name, napi_float64_array, "Float64Array", length, 8, &written_));
}
int32_t* Properties::integersOut(const char* name, int64_t length) {
  return static_cast<int32_t*>(array(name, napi_int32_array, "Int32Array", length, 4, &written_));
}

bool Properties::checkOverlaps() {
  if (!isGood_) return false;
  const auto overlap = [](const Bytes& a, const Bytes& b) {
    return a.data < b.data + b.length && b.data < a.data + a.length;
  };
  for (size_t i = 0; i < written_.size(); i++) {
    std::vector<Bytes> others(read_);
    others.insert(others.end(), written_.begin() + int64_t(i) + 1, written_.end());
    for (const Bytes& other : others) {
      if (!overlap(written_[i], other)) continue;
      refuse("STOA_SHAPE", std::string(written_[i].name) + " shares memory with " + other.name);
      return false;
    }
  }
  return true;
}

bool checkPtr(Properties& properties, const char* name, const int32_t* ptr, int64_t rows, int64_t entries) {
  if (!properties.isGood()) return false;
  bool isAscending = ptr[0] == 0 && ptr[rows] == entries;
  int64_t wrong = -1;
  for (int64_t row = 0; row < rows && wrong < 0; row++)
    if (ptr[row + 1] < ptr[row]) wrong = row;
  if (isAscending && wrong < 0) return true;
  const std::string why = wrong >= 0 ? "descends after row " + std::to_string(wrong)
                                     : "does not go from 0 to the " + std::to_string(entries) + " entries there are";
  properties.refuse("STOA_SHAPE", std::string(name) + " " + why);
  return false;
}

}  // namespace stoa
