#include "models/factorization/als/als_model.h"

#include <memory>
#include <span>

#include "core/device_buffer.h"

namespace sartor {
namespace {

// Solves rows for the other side of a model, which stays on the device.
class FixedSide {
 public:
  FixedSide(cuda::Context& context, const AlsModel& model, std::span<const float> factors, std::span<const float> bias)
      : context_(context), model_(model), factors_(context, factors), bias_(context, bias) {}

  struct Solved {
    std::vector<float> factors, bias;
  };
  Solved solve(const UserRatings& ratings) const {
    const int64_t count = ratings.users(), f = model_.factors;
    const cuda::DeviceBuffer<int64_t> offsets(context_, std::span(ratings.offsets));
    const cuda::DeviceBuffer<int32_t> columns(context_, std::span(ratings.items));
    const cuda::DeviceBuffer<float> values(context_, std::span(ratings.values));
    cuda::DeviceBuffer<float> solved(context_, count * f), solved_bias(context_, count);
    cuda::als_update(context_, {.ratings = {count, offsets.data(), columns.data(), values.data()},
                                .mean = static_cast<float>(model_.mean),
                                .fixed = {factors_.data(), bias_.size(), f},
                                .fixed_bias = model_.biases ? bias_.data() : nullptr,
                                .solved = {solved.data(), count, f},
                                .solved_bias = model_.biases ? solved_bias.data() : nullptr,
                                .params = model_.solver});
    return {solved.to_host(), model_.biases ? solved_bias.to_host() : std::vector<float>(count)};
  }

 private:
  cuda::Context& context_;
  const AlsModel& model_;
  cuda::DeviceBuffer<float> factors_, bias_;
};

}  // namespace

std::vector<float> AlsModel::fold_in(cuda::Context& context, const UserRatings& ratings) const {
  return folding(context)(ratings);
}

FactorModel::FoldIn AlsModel::folding(cuda::Context& context) const {
  const auto items = std::make_shared<FixedSide>(context, *this, item_factors, item_bias);
  return [items](const UserRatings& ratings) { return items->solve(ratings).factors; };
}

void AlsModel::learn_items(cuda::Context& context, const UserRatings& ratings) {
  const auto [factors, bias] = FixedSide(context, *this, user_factors, user_bias).solve(ratings);
  item_factors.insert(item_factors.end(), factors.begin(), factors.end());
  item_bias.insert(item_bias.end(), bias.begin(), bias.end());
}

void AlsModel::write_learned(datasets::Hdf5File& file) const {
  FactorModel::write_learned(file);
  file.set_attribute("biases", int64_t{biases});
  file.set_attribute("regularization", static_cast<double>(solver.regularization));
  file.set_attribute("bias_regularization", static_cast<double>(solver.bias_regularization));
  file.set_attribute("regularization_power", static_cast<double>(solver.regularization_power));
}

void AlsModel::read_learned(const datasets::Hdf5File& file) {
  FactorModel::read_learned(file);
  biases = file.int_attribute("biases") != 0;
  solver = {.regularization = static_cast<float>(file.double_attribute("regularization")),
            .bias_regularization = static_cast<float>(file.double_attribute("bias_regularization")),
            .regularization_power = static_cast<float>(file.double_attribute("regularization_power"))};
}

}  // namespace sartor
