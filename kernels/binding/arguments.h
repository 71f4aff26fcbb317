// Reading JavaScript values, each checked before anything is computed. A refused one becomes an exception with a code
// of common/errors.ts, and the reader says false from then on.
#pragma once

#include <node_api.h>
#include <stdint.h>

#include <string>
#include <vector>

namespace stoa {

/** Throws unless an exception is pending already. */
void throwError(napi_env env, const char* code, const std::string& message);

/** A native object behind a JavaScript one, told apart by its tag. */
napi_value makeHandle(napi_env env, void* object, const napi_type_tag& tag, napi_finalize finalize);
/** Null, with an exception, when the value is not of that tag. */
void* handleOf(napi_env env, napi_value value, const napi_type_tag& tag, const char* what);

/** The memory of a typed array, as it is now. */
struct Bytes {
  const char* name;
  char* data;
  size_t length;
};

/** Properties of one argument object. */
class Properties {
 public:
  Properties(napi_env env, napi_value object) : env_(env), object_(object) { isGood_ = checkObject(); }

  bool isGood() const { return isGood_; }
  /** A whole number from `least` to `most`. */
  int64_t integer(const char* name, int64_t least, int64_t most);
  /** A finite number. */
  double number(const char* name);
  bool boolean(const char* name);
  /** An array of the element's type with `length` elements; null for an empty one. */
  const float* floats(const char* name, int64_t length);
  const double* doubles(const char* name, int64_t length);
  const int32_t* integers(const char* name, int64_t length);
  float* floatsOut(const char* name, int64_t length);
  double* doublesOut(const char* name, int64_t length);
  int32_t* integersOut(const char* name, int64_t length);
  bool isAbsent(const char* name);
  /** Length of a typed array, whatever its type; -1 with an exception when it is none. */
  int64_t lengthOf(const char* name);
  napi_value object(const char* name);
  void refuse(const char* code, const std::string& message);
  /** No array that is written may share memory with another. */
  bool checkOverlaps();

 private:
  bool checkObject();
  napi_value property(const char* name);
  void* array(const char* name, napi_typedarray_type type, const char* typeName, int64_t length, size_t elementBytes,
              std::vector<Bytes>* list);

  napi_env env_;
  napi_value object_;
  bool isGood_ = true;
  std::vector<Bytes> read_;
  std::vector<Bytes> written_;
};

/** ptr of a CSR: starts at 0, ascends, ends at the number of entries. */
bool checkPtr(Properties& properties, const char* name, const int32_t* ptr, int64_t rows, int64_t entries);

}  // namespace stoa
