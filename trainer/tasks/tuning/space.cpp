#include "tasks/tuning/space.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "schema/messages.h"

namespace sartor {
namespace {

constexpr int64_t most_settings = 100000;

// The value at a part (0 to 1) of the range. Four digits tell values apart and are easy to read.
std::string at(const ParameterConfig& parameter, double part) {
  const double low = *parameter.low, high = *parameter.high;
  const bool log = parameter.scale == ValueScale::log;
  const double value = log ? low * std::pow(high / low, part) : low + (high - low) * part;
  if (parameter.integer) return fmt::format("{}", std::llround(std::clamp(value, low, high)));
  if (part == 0 || part == 1) return fmt::format("{}", part == 0 ? low : high);
  return fmt::format("{:.4g}", value);
}

std::vector<std::string> values_of(const ParameterConfig& parameter) {
  if (!parameter.low) return parameter.values;
  std::vector<std::string> values;
  for (int64_t i = 0; i < parameter.steps; i++) {
    const auto value =
        at(parameter, parameter.steps == 1 ? 0 : static_cast<double>(i) / static_cast<double>(parameter.steps - 1));
    if (std::ranges::count(values, value) == 0) values.push_back(value);
  }
  return values;
}

std::string drawn(const ParameterConfig& parameter, uint64_t bits) {
  const double uniform = static_cast<double>(bits >> 11) * 0x1p-53;
  if (!parameter.low)
    return parameter.values[static_cast<size_t>(uniform * static_cast<double>(parameter.values.size()))];
  if (!parameter.integer || parameter.scale == ValueScale::log) return at(parameter, uniform);
  const double low = std::ceil(*parameter.low), high = std::floor(*parameter.high);
  return fmt::format("{:.0f}", std::min(low + std::floor(uniform * (high - low + 1)), high));
}

}  // namespace

void ParameterConfig::check() const {
  require(!field.empty(), "field is empty, expected a path such as model.factors");
  require(low.has_value() == high.has_value(), "found {} without {}", low ? "low" : "high", low ? "high" : "low");
  require(values.empty() == low.has_value(), "expected either values or low and high, found {}",
          low ? "both" : "neither");
  if (!low) return;
  require(*low <= *high, "low {} is above high {}", *low, *high);
  require(scale == ValueScale::linear || *low > 0, "low is {}, expected above 0 with scale: log", *low);
  require(!integer || std::ceil(*low) <= std::floor(*high), "there is no integer from low {} to high {}", *low, *high);
}

std::vector<Settings> grid(const std::vector<ParameterConfig>& space) {
  std::vector<Settings> all = {{}};
  for (const auto& parameter : space) {
    std::vector<Settings> longer;
    const auto values = values_of(parameter);
    require(std::ssize(all) * std::ssize(values) <= most_settings, "the grid of space has more than {} combinations",
            most_settings);
    for (const auto& settings : all) {
      for (const auto& value : values) {
        longer.push_back(settings);
        longer.back().push_back(value);
      }
    }
    all = std::move(longer);
  }
  return all;
}

std::vector<Settings> random_settings(const std::vector<ParameterConfig>& space, int64_t count, uint64_t seed) {
  std::vector<Settings> all;
  uint64_t index = 0;
  for (int64_t repeated = 0; std::ssize(all) < count && repeated < 20 * count;) {
    Settings settings;
    for (const auto& parameter : space) settings.push_back(drawn(parameter, random_bits(seed, index++)));
    if (std::ranges::count(all, settings) > 0) {
      repeated++;
    } else {
      all.push_back(std::move(settings));
    }
  }
  return all;
}

}  // namespace sartor
