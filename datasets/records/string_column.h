// A column of strings in contiguous memory.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sartor::datasets {

// UTF-8 strings, concatenated in `bytes`; string i ends at ends[i].
struct StringColumn {
  std::string bytes;
  std::vector<int64_t> ends;

  int64_t size() const { return std::ssize(ends); }
  std::string_view operator[](int64_t i) const {
    const int64_t begin = i == 0 ? 0 : ends[i - 1];
    return std::string_view(bytes).substr(begin, ends[i] - begin);
  }
  void push_back(std::string_view string) {
    bytes += string;
    ends.push_back(std::ssize(bytes));
  }
  void clear() {
    bytes.clear();
    ends.clear();
  }
  std::vector<std::string_view> views() const {  // invalidated by changes to the column
    std::vector<std::string_view> all(ends.size());
    for (int64_t i = 0; i < size(); i++) all[i] = (*this)[i];
    return all;
  }
};

}  // namespace sartor::datasets
