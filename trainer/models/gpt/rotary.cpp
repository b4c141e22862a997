#include "models/gpt/rotary.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

namespace sartor::gpt {
namespace {

constexpr double two_pi = 2 * std::numbers::pi;
constexpr int64_t decoding_rows = 256;  // computed at once, so that a row does not depend on the size of the table

// The operations are those of ROPE_INIT_FUNCTIONS in transformers, in the same order and precision: a frequency that is
// wrong in the last bit is wrong by 1e-4 in the angle of position 1000.

// 2 i / head_dim
at::Tensor exponents(const GptConfig& config, at::Device device) {
  return at::arange(0, config.head_dim, 2, at::TensorOptions(device).dtype(at::kLong)).to(at::kFloat) / config.head_dim;
}

at::Tensor dynamic(const GptConfig& config, int64_t length, at::Device device) {
  const double factor = config.rotary.factor;
  const auto dim = static_cast<double>(config.head_dim), most = static_cast<double>(config.max_position_embeddings);
  const double power = dim / (dim - 2);
  if (length <= config.max_position_embeddings) {
    const double base = config.rotary.theta * std::pow(factor * most / most - (factor - 1), power);
    return at::pow(base, exponents(config, device)).reciprocal();
  }
  const auto positions = at::scalar_tensor(length, at::TensorOptions(device).dtype(at::kFloat));
  const auto base = (positions * factor / most - (factor - 1)).pow(power) * config.rotary.theta;
  return at::pow(base, exponents(config, device)).reciprocal();
}

// Where the ramp between extrapolated and interpolated dimensions begins and ends.
std::pair<double, double> yarn_range(const GptConfig& config) {
  const auto& rotary = config.rotary;
  const auto dim = static_cast<double>(config.head_dim);
  const auto dimension_of = [&](double rotations) {
    return dim * std::log(static_cast<double>(rotary.original_max_position_embeddings) / (rotations * two_pi)) /
           (2 * std::log(rotary.theta));
  };
  double low = dimension_of(rotary.beta_fast), high = dimension_of(rotary.beta_slow);
  if (rotary.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  return {std::max(low, 0.0), std::min(high, dim - 1)};
}

at::Tensor yarn(const GptConfig& config) {
  const auto frequencies = at::pow(config.rotary.theta, exponents(config, at::kCPU));
  const auto extrapolated = frequencies.reciprocal(), interpolated = (frequencies * config.rotary.factor).reciprocal();
  auto [low, high] = yarn_range(config);
  if (low == high) high += 0.001;
  const auto ramp = ((at::arange(config.head_dim / 2, at::kFloat) - low) / (high - low)).clamp(0, 1);
  const auto kept = 1 - ramp;
  return interpolated * (1 - kept) + extrapolated * kept;
}

at::Tensor llama3(const GptConfig& config) {
  const auto& rotary = config.rotary;
  const auto original = static_cast<double>(rotary.original_max_position_embeddings);
  const auto plain = at::pow(rotary.theta, exponents(config, at::kCPU)).reciprocal();
  const auto wavelengths = plain.reciprocal() * two_pi;
  const double longest = original / rotary.low_freq_factor, shortest = original / rotary.high_freq_factor;
  const auto scaled = at::where(wavelengths > longest, plain / rotary.factor, plain);
  const auto smooth = (wavelengths.reciprocal() * original - rotary.low_freq_factor) /
                      (rotary.high_freq_factor - rotary.low_freq_factor);
  const auto between = (1 - smooth) * scaled / rotary.factor + smooth * scaled;
  return at::where((wavelengths < shortest).logical_or(wavelengths > longest), scaled, between);
}

}  // namespace

at::Tensor inverse_frequencies(const GptConfig& config, int64_t length, at::Device device) {
  switch (config.rotary.type) {
    case RotaryType::standard:
      return at::pow(config.rotary.theta, exponents(config, at::kCPU)).reciprocal().to(device);
    case RotaryType::linear:
      return (at::pow(config.rotary.theta, exponents(config, at::kCPU)).reciprocal() / config.rotary.factor).to(device);
    case RotaryType::dynamic:
      return dynamic(config, length, device);
    case RotaryType::yarn:
      return yarn(config).to(device);
    case RotaryType::llama3:
      return llama3(config).to(device);
  }
  return {};
}

double attention_factor(const RotaryConfig& rotary) {
  if (rotary.type != RotaryType::yarn) return 1;
  if (rotary.attention_factor) return *rotary.attention_factor;
  const auto scale = [&](double mscale) { return rotary.factor <= 1 ? 1 : 0.1 * mscale * std::log(rotary.factor) + 1; };
  const double mscale = rotary.mscale.value_or(0), of_all = rotary.mscale_all_dim.value_or(0);
  return mscale != 0 && of_all != 0 ? scale(mscale) / scale(of_all) : scale(1);
}

Rotary::Rotary(const GptConfig& config, at::Device device)
    : config_(config), frequencies_(inverse_frequencies(config, 0, device)), factor_(attention_factor(config.rotary)) {}

Rotary::Table Rotary::rows(const at::Tensor& positions, const at::Tensor& frequencies) const {
  const auto angles = positions.to(at::kFloat).unsqueeze(1) * frequencies;
  return {.cos = angles.cos() * factor_, .sin = angles.sin() * factor_, .rows_T = {}};
}

Rotary::Table Rotary::table(const transformer::Packed& batch) const {
  const auto options = batch.position_ids_T.options();
  auto table = rows(at::arange(batch.padded_length, options), frequencies_);
  table.rows_T = batch.position_ids_T;
  const bool stretched = config_.rotary.type == RotaryType::dynamic && batch.longest > config_.max_position_embeddings;
  if (!stretched) return table;

  // Appends the rows of each sequence with its own frequencies.
  std::vector<at::Tensor> cos = {table.cos}, sin = {table.sin}, places;
  int64_t next = batch.padded_length;
  for (int64_t b = 0; b < batch.batch(); b++) {
    const int64_t begin = batch.offsets[b], length = batch.offsets[b + 1] - begin;
    const auto positions = batch.position_ids_T.narrow(0, begin, length);
    places.push_back(positions);
    if (length <= config_.max_position_embeddings) continue;
    auto own = rows(positions, inverse_frequencies(config_, length, positions.device()));
    cos.push_back(std::move(own.cos));
    sin.push_back(std::move(own.sin));
    places.back() = at::arange(next, next + length, options);
    next += length;
  }
  return {.cos = at::cat(cos), .sin = at::cat(sin), .rows_T = at::cat(places)};
}

transformer::TokenAngles Rotary::angles(const transformer::Packed& batch) const {
  const auto [cos, sin, rows_T] = table(batch);
  return transformer::token_angles(cos, sin, rows_T);
}

DecodingRotary::DecodingRotary(const GptConfig& config, at::Device device)
    : config_(config),
      frequencies_(inverse_frequencies(config, 0, device)),
      cos_(at::empty({0, config.head_dim / 2}, frequencies_.options())),
      sin_(cos_),
      factor_(attention_factor(config.rotary)) {}

// For positions first to first + decoding_rows - 1: one row for all of them, or one for each.
at::Tensor DecodingRotary::frequencies(int64_t first) const {
  const bool stretched =
      config_.rotary.type == RotaryType::dynamic && first + decoding_rows > config_.max_position_embeddings;
  if (!stretched) return frequencies_;
  std::vector<at::Tensor> rows;
  for (int64_t position = first; position < first + decoding_rows; position++) {
    rows.push_back(inverse_frequencies(config_, position + 1, frequencies_.device()));
  }
  return at::stack(rows);
}

void DecodingRotary::extend(int64_t positions) {
  if (positions <= cos_.size(0)) return;
  std::vector<at::Tensor> cos = {cos_}, sin = {sin_};
  for (int64_t first = cos_.size(0); first < std::max(positions, 2 * cos_.size(0)); first += decoding_rows) {
    const auto range = at::arange(first, first + decoding_rows, frequencies_.options().dtype(at::kLong));
    const auto angles = range.to(at::kFloat).unsqueeze(1) * frequencies(first);
    cos.push_back(angles.cos() * factor_);
    sin.push_back(angles.sin() * factor_);
  }
  cos_ = at::cat(cos);
  sin_ = at::cat(sin);
}

}  // namespace sartor::gpt
