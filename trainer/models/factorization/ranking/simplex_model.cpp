#include "models/factorization/ranking/simplex_model.h"

#include "base/require.h"
#include "core/device_buffer.h"
#include "factorization/ranking/contrastive.h"
#include "models/factorization/ranking/interactions.h"

namespace sartor {
namespace {

constexpr const char* threshold_name = "threshold";

}  // namespace

std::vector<float> SimplexModel::fold_in(cuda::Context& context, const UserRatings& ratings) const {
  const Interactions chosen = interactions_of(ratings, threshold);
  const int64_t users = ratings.users();
  const cuda::DeviceBuffer<int64_t> offsets(context, std::span(chosen.offsets));
  const cuda::DeviceBuffer<int32_t> columns(context, std::span(chosen.items));
  const cuda::DeviceBuffer<float> vectors_of_items(context, std::span(item_factors));
  cuda::DeviceBuffer<float> vectors(context, users * factors);
  cuda::contrastive_users(context, {.chosen = {users, offsets.data(), columns.data()},
                                    .users = {},
                                    .items = {vectors_of_items.data(), item_rows().rows, factors},
                                    .history_weight = 1,
                                    .vectors = {vectors.data(), users, factors}});
  return vectors.to_host();
}

void SimplexModel::write_learned(datasets::Hdf5File& file) const {
  FactorModel::write_learned(file);
  if (threshold) file.set_attribute(threshold_name, static_cast<double>(*threshold));
}

void SimplexModel::read_learned(const datasets::Hdf5File& file) {
  FactorModel::read_learned(file);
  require(factors > 0, "{}: has no factors", file.path().string());
  if (file.has_attribute(threshold_name)) threshold = static_cast<float>(file.double_attribute(threshold_name));
}

}  // namespace sartor
