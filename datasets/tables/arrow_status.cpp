#include "tables/arrow_status.h"

#include <arrow/util/io_util.h>
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <system_error>

#include "base/require.h"

namespace sartor::datasets {

void check(const arrow::Status& status, std::string_view file) {
  if (status.ok()) return;
  if (const int number = arrow::internal::ErrnoFromStatus(status)) {
    throw std::system_error(number, std::generic_category(), std::string(file));
  }
  std::string text = status.message();
  text.resize(text.find_last_not_of(" \n") + 1);
  std::ranges::replace(text, '\n', ' ');
  require(false, "{}: {}", file, text);
}

}  // namespace sartor::datasets
