// Arrow's errors as ours.
#pragma once

#include <arrow/result.h>
#include <arrow/status.h>

#include <string_view>

namespace sartor::datasets {

// Throws what `status` reports about `file`, in one line: std::system_error where the system failed, else
// std::invalid_argument, as the file is broken then.
void check(const arrow::Status& status, std::string_view file);

template <class T> T value_of(arrow::Result<T> result, std::string_view file) {
  check(result.status(), file);
  return std::move(result).ValueUnsafe();
}

}  // namespace sartor::datasets
