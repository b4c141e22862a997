// Reading and writing of the lists in factors.h5.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "base/require.h"
#include "storage/hdf5_file.h"

namespace sartor {

template <class T> void write_list(datasets::Hdf5File& file, const std::string& name, const std::vector<T>& values) {
  file.create_list<T>(name, std::ssize(values)).write(0, values);
}

// Throws std::invalid_argument if the list has another size.
template <class T> std::vector<T> read_list(const datasets::Hdf5File& file, const std::string& name, int64_t size) {
  const auto list = file.list<T>(name);
  require(list.rows() == size, "{}: has {} values, expected {}", list.name(), list.rows(), size);
  return list.read();
}

inline void require_finite(const std::vector<float>& values, const std::string& name) {
  const auto bad = std::ranges::find_if_not(values, [](float value) { return std::isfinite(value); });
  require(bad == values.end(), "{}: value {} is not finite", name, bad - values.begin());
}

// The same; also throws std::invalid_argument if a value is not finite.
inline std::vector<float> read_finite(const datasets::Hdf5File& file, const std::string& name, int64_t size) {
  auto values = read_list<float>(file, name, size);
  require_finite(values, file.path().string() + ": " + name);
  return values;
}

}  // namespace sartor
