#include "models/factorization/bayesian/bpmf_model.h"

#include <algorithm>
#include <cmath>

#include "base/require.h"
#include "core/device_buffer.h"
#include "factorization/bayesian/posterior.h"
#include "models/factorization/model_file.h"

namespace sartor {
namespace {

using datasets::Hdf5File;

// The numbers of a sample's items as in training: factors, and the bias if there are any.
std::vector<float> item_sample(const BpmfModel& model, int64_t sample) {
  const int64_t f = model.factors_of_sample(), items = model.item_rows().rows;
  const float scale = std::sqrt(static_cast<float>(model.samples));
  std::vector<float> rows;
  rows.reserve(items * model.columns());
  for (int64_t item = 0; item < items; item++) {
    const float* factors = model.item_rows().row(item) + sample * f;
    for (int64_t i = 0; i < f; i++) rows.push_back(scale * factors[i]);
    if (model.biases) rows.push_back(model.item_sample_bias[item * model.samples + sample]);
  }
  return rows;
}

}  // namespace

std::vector<double> BpmfModel::spread(int64_t user, std::span<const int32_t> items) const {
  const int64_t f = factors_of_sample();
  const auto count = static_cast<double>(samples);
  std::vector<double> deviations;
  for (const int32_t item : items) {
    const float *x = user_rows().row(user), *y = item_rows().row(item);
    double sum = 0, squares = 0;
    for (int64_t sample = 0; sample < samples; sample++) {
      double dot = 0;
      for (int64_t i = sample * f; i < (sample + 1) * f; i++) dot += static_cast<double>(x[i]) * y[i];
      const double rating =
          count * dot + user_sample_bias[user * samples + sample] + item_sample_bias[item * samples + sample];
      sum += rating;
      squares += rating * rating;
    }
    deviations.push_back(std::sqrt(std::max(0.0, squares / count - sum / count * (sum / count))));
  }
  return deviations;
}

std::vector<float> BpmfModel::fold_in(cuda::Context& context, const UserRatings& ratings) const {
  const int64_t users = ratings.users(), f = factors_of_sample(), size = columns(), items = item_rows().rows;
  const cuda::DeviceBuffer<int64_t> offsets(context, std::span(ratings.offsets));
  const cuda::DeviceBuffer<int32_t> places(context, std::span(ratings.items));
  const cuda::DeviceBuffer<float> values(context, std::span(ratings.values));
  const cuda::DeviceBuffer<float> solved(context, users * size);
  const float scale = 1 / std::sqrt(static_cast<float>(samples));
  std::vector<float> folded(users * factors);
  for (int64_t sample = 0; sample < samples; sample++) {
    const std::span<const float> mean_of_users = std::span(prior_mean).subspan(sample * size, size);
    const std::span<const float> precision_of_users =
        std::span(prior_precision).subspan(sample * size * size, size * size);
    std::vector<float> product(size);
    for (int64_t i = 0; i < size; i++) {
      for (int64_t j = 0; j < size; j++) product[i] += precision_of_users[i * size + j] * mean_of_users[j];
    }
    const std::vector<float> rows = item_sample(*this, sample);
    const cuda::DeviceBuffer<float> fixed(context, std::span(rows)), pull(context, std::span(product));
    const cuda::DeviceBuffer<float> precision(context, precision_of_users);
    cuda::draw_posterior(context, {.ratings = {users, offsets.data(), places.data(), values.data()},
                                   .mean = static_cast<float>(mean),
                                   .noise_precision = noise_precision[sample],
                                   .biases = biases,
                                   .fixed = {fixed.data(), items, size},
                                   .precision = {precision.data(), size, size},
                                   .pull = {pull.data(), 1, size},
                                   .draw = false,
                                   .solved = {solved.data(), users, size}});
    const std::vector<float> drawn = solved.to_host();
    for (int64_t user = 0; user < users; user++) {
      for (int64_t i = 0; i < f; i++) folded[user * factors + sample * f + i] = scale * drawn[user * size + i];
    }
  }
  return folded;
}

bool BpmfModel::knows(int64_t user) const {
  return seen_offsets.empty() ? FactorModel::knows(user) : !seen_by(user).empty();
}

void BpmfModel::write_learned(Hdf5File& file) const {
  FactorModel::write_learned(file);
  file.set_attribute("samples", samples);
  file.set_attribute("biases", int64_t{biases});
  write_list(file, "users/sample_bias", user_sample_bias);
  write_list(file, "items/sample_bias", item_sample_bias);
  write_list(file, "users/prior_mean", prior_mean);
  write_list(file, "users/prior_precision", prior_precision);
  write_list(file, "noise_precision", noise_precision);
}

void BpmfModel::read_learned(const Hdf5File& file) {
  FactorModel::read_learned(file);
  samples = file.int_attribute("samples");
  biases = file.int_attribute("biases") != 0;
  require(samples > 0 && factors > 0 && factors % samples == 0, "{}: has {} factors for {} samples",
          file.path().string(), factors, samples);
  user_sample_bias = read_finite(file, "users/sample_bias", user_rows().rows * samples);
  item_sample_bias = read_finite(file, "items/sample_bias", item_rows().rows * samples);
  prior_mean = read_finite(file, "users/prior_mean", samples * columns());
  prior_precision = read_finite(file, "users/prior_precision", samples * columns() * columns());
  noise_precision = read_finite(file, "noise_precision", samples);
  require(std::ranges::all_of(noise_precision, [](float value) { return value > 0; }),
          "{}: noise_precision has a value that is not above 0", file.path().string());
}

}  // namespace sartor
