// Converts Arrow errors to exceptions.
#pragma once

#include <arrow/result.h>
#include <arrow/status.h>

#include <string_view>

namespace sartor::datasets {

// Throws if `status` is an error: std::system_error for errors of the operating system, otherwise
// std::invalid_argument, because the contents of `file` are invalid. The message is one line.
void check(const arrow::Status& status, std::string_view file);

// The value of `result`. Throws as check() does.
template <class T> T value_of(arrow::Result<T> result, std::string_view file) {
  check(result.status(), file);
  return std::move(result).ValueUnsafe();
}

}  // namespace sartor::datasets
