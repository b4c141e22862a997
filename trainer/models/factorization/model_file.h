// Reading and writing of the lists in factors.h5 and of the state of a training.
#pragma once

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <type_traits>
#include <vector>

#include "base/require.h"
#include "core/device_buffer.h"
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

// Copies of factors that are being trained. Throws std::runtime_error if a value is not finite.
std::vector<float> finite(const cuda::DeviceBuffer<float>& buffer, const std::string& name);

// Factors and biases are copied between HDF5 and the device in chunks, so that a checkpoint does not need a second copy
// of the model in host memory. Writing throws like finite(); reading throws std::invalid_argument if sizes differ.
void write_state(datasets::Hdf5File& file, const std::string& name, const cuda::DeviceBuffer<float>& buffer);
void read_state(const datasets::Hdf5File& file, const std::string& name, cuda::DeviceBuffer<float>& buffer);

// Saves and loads FOLDER/state.h5. Both call visit_all(visit), which calls visit(name, member) for each member of the
// state, an int64_t or a DeviceBuffer<float>. Throw like write_state() and read_state(); load_state() also if the
// schema differs.
template <class VisitAll>
void save_state(const std::filesystem::path& folder, const char* schema, const VisitAll& visit_all) {
  auto file = datasets::Hdf5File::create(folder / "state.h5");
  file.set_schema(schema, 1);
  visit_all([&](const std::string& name, const auto& member) {
    if constexpr (std::is_same_v<decltype(member), const int64_t&>) {
      file.set_attribute(name, member);
    } else {
      write_state(file, name, member);
    }
  });
  file.close();
}
template <class VisitAll>
void load_state(const std::filesystem::path& folder, const char* schema, const VisitAll& visit_all) {
  const auto file = datasets::Hdf5File::open(folder / "state.h5");
  file.require_schema(schema, 1);
  visit_all([&](const std::string& name, auto& member) {
    if constexpr (std::is_same_v<decltype(member), int64_t&>) {
      member = file.int_attribute(name);
    } else {
      read_state(file, name, member);
    }
  });
}

}  // namespace sartor
