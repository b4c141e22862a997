#include "models/factorization/decomposition/nmf_model.h"

#include "base/require.h"
#include "core/device_buffer.h"
#include "factorization/implicit/implicit.h"

namespace sartor {
namespace {

using datasets::Hdf5File;

constexpr int64_t fold_in_steps = 200;

float float_of(const Hdf5File& file, const std::string& name) {
  return static_cast<float>(file.double_attribute(name));
}

// Items as in training: factors, and the bias if there are any.
std::vector<float> item_numbers(const NmfModel& model) {
  if (!model.biases) return model.item_factors;
  std::vector<float> rows;
  for (int64_t item = 0; item < model.item_rows().rows; item++) {
    rows.insert(rows.end(), model.item_rows().row(item), model.item_rows().row(item) + model.factors);
    rows.push_back(model.item_bias[item]);
  }
  return rows;
}

}  // namespace

std::vector<float> NmfModel::fold_in(cuda::Context& context, const UserRatings& ratings) const {
  const int64_t users = ratings.users(), columns = factors + biases, items = item_rows().rows;
  const cuda::DeviceBuffer<int64_t> offsets(context, std::span(ratings.offsets));
  const cuda::DeviceBuffer<int32_t> places(context, std::span(ratings.items));
  const cuda::DeviceBuffer<float> values(context, std::span(ratings.values));
  const std::vector<float> numbers = item_numbers(*this);
  const cuda::DeviceBuffer<float> fixed(context, std::span(numbers));
  cuda::DeviceBuffer<float> gram(context, missing_are_zero ? columns * columns : 0), solved(context, users * columns);
  solved.fill_zero();
  if (missing_are_zero) cuda::gram(context, {{fixed.data(), items, columns}, 0, columns, gram.data()});
  cuda::NonnegativeParams params = solver;
  params.solver = cuda::NonnegativeSolver::projected;
  params.steps = fold_in_steps;
  cuda::nonnegative_update(context, {.ratings = {users, offsets.data(), places.data(), values.data()},
                                     .mean = static_cast<float>(mean),
                                     .biases = biases,
                                     .fixed = {fixed.data(), items, columns},
                                     .gram = gram.data(),
                                     .solved = {solved.data(), users, columns},
                                     .params = params});
  const std::vector<float> found = solved.to_host();
  if (!biases) return found;
  std::vector<float> folded;
  for (int64_t user = 0; user < users; user++) {
    folded.insert(folded.end(), found.begin() + user * columns, found.begin() + user * columns + factors);
  }
  return folded;
}

void NmfModel::write_learned(Hdf5File& file) const {
  FactorModel::write_learned(file);
  file.set_attribute("biases", int64_t{biases});
  file.set_attribute("missing_are_zero", int64_t{missing_are_zero});
  file.set_attribute("regularization", static_cast<double>(solver.regularization));
  file.set_attribute("bias_regularization", static_cast<double>(solver.bias_regularization));
  file.set_attribute("regularization_power", static_cast<double>(solver.regularization_power));
}

void NmfModel::read_learned(const Hdf5File& file) {
  FactorModel::read_learned(file);
  require(factors > 0, "{}: has no factors", file.path().string());
  biases = file.int_attribute("biases") != 0;
  missing_are_zero = file.int_attribute("missing_are_zero") != 0;
  solver.regularization = float_of(file, "regularization");
  solver.bias_regularization = float_of(file, "bias_regularization");
  solver.regularization_power = float_of(file, "regularization_power");
}

}  // namespace sartor
