#include "models/factorization/als/als_model.h"

#include "core/device_buffer.h"

namespace sartor {

std::vector<float> AlsModel::fold_in(cuda::Context& context, const UserRatings& ratings) const {
  const int64_t count = ratings.users();
  const cuda::DeviceBuffer<int64_t> offsets(context, std::span(ratings.offsets));
  const cuda::DeviceBuffer<int32_t> columns(context, std::span(ratings.items));
  const cuda::DeviceBuffer<float> values(context, std::span(ratings.values));
  const cuda::DeviceBuffer<float> fixed(context, std::span(item_factors)), fixed_bias(context, std::span(item_bias));
  cuda::DeviceBuffer<float> solved(context, count * factors), solved_bias(context, count);
  cuda::als_update(context, {.ratings = {count, offsets.data(), columns.data(), values.data()},
                             .mean = static_cast<float>(mean),
                             .fixed = {fixed.data(), item_rows().rows, factors},
                             .fixed_bias = biases ? fixed_bias.data() : nullptr,
                             .solved = {solved.data(), count, factors},
                             .solved_bias = biases ? solved_bias.data() : nullptr,
                             .params = solver});
  return solved.to_host();
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
