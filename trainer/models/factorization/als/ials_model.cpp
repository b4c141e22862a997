#include "models/factorization/als/ials_model.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/require.h"
#include "core/device_buffer.h"
#include "schema/messages.h"

namespace sartor {
namespace {

using datasets::Hdf5File;

constexpr const char* threshold = "threshold";

template <Enum E> void write_choice(Hdf5File& file, const std::string& name, E value) {
  file.set_attribute(name, std::string(name_of(value)));
}

template <Enum E> void read_choice(const Hdf5File& file, const std::string& name, E& value) {
  const std::string text = file.string_attribute(name);
  const auto names = names_of(Among<E>());
  require(std::ranges::find(names, text) != names.end(), "{}: {} is {}, expected {}", file.path().string(), name,
          shown(text), either(names));
  value = value_of<E>(text);
}

float float_of(const Hdf5File& file, const std::string& name) {
  return static_cast<float>(file.double_attribute(name));
}

// Solves rows for the fixed factors of the other side.
std::vector<float> solve(cuda::Context& context, const UserRatings& entries, cuda::Rows<const float> fixed,
                         cuda::ImplicitParams params) {
  const int64_t rows = entries.users(), factors = fixed.columns;
  const cuda::DeviceBuffer<int64_t> offsets(context, std::span(entries.offsets));
  const cuda::DeviceBuffer<int32_t> columns(context, std::span(entries.items));
  const cuda::DeviceBuffer<float> values(context, std::span(entries.values));
  const cuda::DeviceBuffer<float> features(context, {fixed.data, static_cast<size_t>(fixed.rows * factors)});
  cuda::DeviceBuffer<float> gram(context, factors * factors), solved(context, rows * factors);
  cuda::gram(context, {{features.data(), fixed.rows, factors}, 0, factors, gram.data()});
  params.solver = cuda::ImplicitSolver::cholesky;
  cuda::implicit_update(context, {.entries = {rows, offsets.data(), columns.data(), values.data()},
                                  .fixed = {features.data(), fixed.rows, factors},
                                  .gram = gram.data(),
                                  .solved = {solved.data(), rows, factors},
                                  .params = params});
  return solved.to_host();
}

}  // namespace

float EventWeights::of(float rating) const {
  if (kind == EventWeight::binary) return 1;
  return kind == EventWeight::log ? std::log1p(rating / epsilon) : rating;
}

UserRatings EventWeights::of(const UserRatings& ratings) const {
  UserRatings kept;
  for (int64_t user = 0; user < ratings.users(); user++) {
    for (int64_t at = ratings.offsets[user]; at < ratings.offsets[user + 1]; at++) {
      if (!counts(ratings.values[at])) continue;
      require(takes(ratings.values[at]), "a rating is {}, expected 0 or more for weights: {}", ratings.values[at],
              name_of(kind));
      kept.items.push_back(ratings.items[at]);
      kept.values.push_back(of(ratings.values[at]));
    }
    kept.offsets.push_back(std::ssize(kept.items));
  }
  return kept;
}

std::vector<float> IalsModel::fold_in(cuda::Context& context, const UserRatings& ratings) const {
  return solve(context, weights.of(ratings), item_rows(), solver);
}

std::vector<float> IalsModel::fold_in_items(cuda::Context& context, const UserRatings& ratings) const {
  return solve(context, weights.of(ratings), user_rows(), solver);
}

void IalsModel::write_learned(Hdf5File& file) const {
  FactorModel::write_learned(file);
  write_choice(file, "weights", weights.kind);
  file.set_attribute("epsilon", static_cast<double>(weights.epsilon));
  if (weights.threshold) file.set_attribute(threshold, static_cast<double>(*weights.threshold));
  write_choice(file, "objective", solver.objective);
  file.set_attribute("alpha", static_cast<double>(solver.alpha));
  file.set_attribute("unobserved_weight", static_cast<double>(solver.unobserved_weight));
  file.set_attribute("regularization", static_cast<double>(solver.regularization));
  file.set_attribute("regularization_power", static_cast<double>(solver.regularization_power));
}

void IalsModel::read_learned(const Hdf5File& file) {
  FactorModel::read_learned(file);
  require(factors > 0, "{}: has no factors", file.path().string());
  read_choice(file, "weights", weights.kind);
  weights.epsilon = float_of(file, "epsilon");
  if (file.has_attribute(threshold)) weights.threshold = float_of(file, threshold);
  read_choice(file, "objective", solver.objective);
  solver.alpha = float_of(file, "alpha");
  solver.unobserved_weight = float_of(file, "unobserved_weight");
  solver.regularization = float_of(file, "regularization");
  solver.regularization_power = float_of(file, "regularization_power");
}

}  // namespace sartor
