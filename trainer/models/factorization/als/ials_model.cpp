#include "models/factorization/als/ials_model.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <memory>

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

// Solves rows exactly for the fixed factors of the other side, which stay on the device with their Gram matrix.
class FixedSide {
 public:
  FixedSide(cuda::Context& context, const IalsModel& model, cuda::Rows<const float> fixed)
      : context_(context),
        model_(model),
        features_(context, {fixed.data, static_cast<size_t>(fixed.rows * fixed.columns)}),
        fixed_{features_.data(), fixed.rows, fixed.columns},
        gram_(context, fixed.columns * fixed.columns) {
    cuda::gram(context, {fixed_, 0, fixed_.columns, gram_.data()});
  }

  std::vector<float> solve(const UserRatings& ratings) const {
    const UserRatings entries = model_.weights.of(ratings);
    const int64_t rows = entries.users(), f = fixed_.columns;
    const cuda::DeviceBuffer<int64_t> offsets(context_, std::span(entries.offsets));
    const cuda::DeviceBuffer<int32_t> columns(context_, std::span(entries.items));
    const cuda::DeviceBuffer<float> values(context_, std::span(entries.values));
    cuda::DeviceBuffer<float> solved(context_, rows * f);
    auto params = model_.solver;
    params.solver = cuda::ImplicitSolver::cholesky;
    cuda::implicit_update(context_, {.entries = {rows, offsets.data(), columns.data(), values.data()},
                                     .fixed = fixed_,
                                     .gram = gram_.data(),
                                     .solved = {solved.data(), rows, f},
                                     .params = params});
    return solved.to_host();
  }

 private:
  cuda::Context& context_;
  const IalsModel& model_;
  cuda::DeviceBuffer<float> features_;
  cuda::Rows<const float> fixed_;
  cuda::DeviceBuffer<float> gram_;
};

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
  return FixedSide(context, *this, item_rows()).solve(ratings);
}

FactorModel::FoldIn IalsModel::folding(cuda::Context& context) const {
  const auto items = std::make_shared<FixedSide>(context, *this, item_rows());
  return [items](const UserRatings& ratings) { return items->solve(ratings); };
}

std::vector<float> IalsModel::fold_in_items(cuda::Context& context, const UserRatings& ratings) const {
  return FixedSide(context, *this, user_rows()).solve(ratings);
}

void IalsModel::learn_items(cuda::Context& context, const UserRatings& ratings) {
  const auto solved = fold_in_items(context, ratings);
  item_factors.insert(item_factors.end(), solved.begin(), solved.end());
  item_bias.resize(item_bias.size() + ratings.users());
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
