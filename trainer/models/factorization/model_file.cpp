#include "models/factorization/model_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <stdexcept>

namespace sartor {
namespace {

using datasets::Hdf5File;

constexpr int64_t chunk = 1 << 20;  // elements copied at a time

void require_trained(std::span<const float> values, const std::string& name, int64_t first = 0) {
  const auto bad = std::ranges::find_if_not(values, [](float value) { return std::isfinite(value); });
  if (bad == values.end()) return;
  throw std::runtime_error(
      fmt::format("the model is no longer finite: value {} of {} is {}. Ratings of smaller magnitude or more "
                  "regularization may help",
                  first + (bad - values.begin()), name, *bad));
}

}  // namespace

std::vector<float> finite(const cuda::DeviceBuffer<float>& buffer, const std::string& name) {
  auto values = buffer.to_host();
  require_trained(values, name);
  return values;
}

void write_state(Hdf5File& file, const std::string& name, const cuda::DeviceBuffer<float>& buffer) {
  auto list = file.create_list<float>(name, buffer.size());
  std::vector<float> values;
  for (int64_t first = 0; first < buffer.size(); first += chunk) {
    values.resize(std::min(chunk, buffer.size() - first));
    buffer.read(values, first);
    require_trained(values, name, first);
    list.write(first, values);
  }
}

void read_state(const Hdf5File& file, const std::string& name, cuda::DeviceBuffer<float>& buffer) {
  const auto list = file.list<float>(name);
  require(list.rows() == buffer.size(), "{}: has {} values, expected {}", list.name(), list.rows(), buffer.size());
  std::vector<float> values;
  for (int64_t first = 0; first < buffer.size(); first += chunk) {
    values.resize(std::min(chunk, buffer.size() - first));
    list.read(first, values);
    buffer.write(values, first);
  }
}

}  // namespace sartor
