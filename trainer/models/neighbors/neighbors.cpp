#include "models/neighbors/neighbors.h"

#include "base/require.h"
#include "models/factorization/row_shares.h"
#include "models/factorization/shares/row_lists.h"
#include "models/neighbors/sparse_rows.h"
#include "storage/hdf5_file.h"

namespace sartor {

using datasets::Hdf5File;

Neighbors::Neighbors(bool by_user, const NeighborsConfig& config, const datasets::Prepared& data,
                     cuda::Context& context, Collective* ranks)
    : by_user_(by_user),
      config_(config),
      context_(context),
      ranks_(ranks ? *ranks : alone_),
      rating_min_(data.rating_min),
      rating_max_(data.rating_max) {
  require(data.train.size() > 0, "{}: there are no training ratings", data.file.path().string());
  if (config.similarities) {
    given_ = read_neighbors(*config.similarities, by_user ? data.read_user_ids() : data.read_item_ids(),
                            config.neighbors, config.values.keep_negative);
  }
  users_ = read_all(data.train);
  items_ = read_all(data.train_by_item);
  baseline_ = fit_baseline(users_, items_, config.baseline);
}

void Neighbors::train_epoch() {
  if (config_.similarities) {
    lists_ = given_;
    return;
  }
  const auto& rows = by_user_ ? users_ : items_;
  const auto& row_bias = by_user_ ? baseline_.user_bias : baseline_.item_bias;
  const auto& column_bias = by_user_ ? baseline_.item_bias : baseline_.user_bias;
  const int64_t columns = std::ssize(column_bias);
  const RowValues values(config_.values, rows, columns, baseline_.mean, column_bias);
  const UserRatings compared = values.of(rows, row_bias);
  std::vector<int64_t> sizes;
  for (int64_t row = 0; row < rows.users(); row++) sizes.push_back(rows.offsets[row + 1] - rows.offsets[row]);
  const UserRatings by_column = transposed(compared, columns);
  const auto bounds = row_shares(search_costs(compared, by_column), ranks_.size());
  lists_ = find_neighbors(context_, compared, {bounds[ranks_.rank()], bounds[ranks_.rank() + 1]}, by_column, sizes, 0,
                          config_.values.params(config_.neighbors));
  gather_lists(ranks_, bounds, lists_.offsets, lists_.ids, lists_.similarities);
}

void Neighbors::complete(NeighborsModel& model) const {
  model.lists = lists_;
  model.rule = config_.prediction;
  model.values = config_.values;
  model.most_neighbors = config_.neighbors;
  model.baseline = baseline_;
  model.user_regularization = config_.baseline.user_regularization;
  model.means = row_means(by_user_ ? users_ : items_);
  model.rating_min = rating_min_;
  model.rating_max = rating_max_;
  for (int64_t item = 0; item < items_.users(); item++) {
    model.item_count.push_back(items_.offsets[item + 1] - items_.offsets[item]);
  }
  model.seen_offsets = users_.offsets;
  model.seen_items = users_.items;
  model.seen_ratings = users_.values;
  model.connect();
}

void Neighbors::save(const std::filesystem::path& folder) const {
  Hdf5File file = Hdf5File::create(folder / "state.h5");
  file.set_schema("sartor.neighbors_state", 1);
  write_lists(file, lists_);
  file.close();
}

void Neighbors::load(const std::filesystem::path& folder) {
  const Hdf5File file = Hdf5File::open(folder / "state.h5");
  file.require_schema("sartor.neighbors_state", 1);
  lists_ = read_lists(file, by_user_ ? users_.users() : items_.users());
}

std::unique_ptr<TrainedModel> UserKnn::model() const {
  auto model = std::make_unique<UserKnnModel>();
  complete(*model);
  return model;
}

std::unique_ptr<TrainedModel> ItemKnn::model() const {
  auto model = std::make_unique<ItemKnnModel>();
  complete(*model);
  return model;
}

}  // namespace sartor
