#include "models/factorization/gradient/sgd.h"

#include <numeric>

#include "base/random.h"
#include "storage/hdf5_file.h"

namespace sartor {
namespace {

RatingGrid ordered(const SgdConfig& config, const datasets::Prepared& data, double mean, bool gpu) {
  return config.shuffle ? shuffled_grid(data, mean, grid_blocks(data.train.size(), gpu), config.seed)
                        : stored_order(data, mean);
}

InitialRows initial_rows(const SgdConfig& config, int64_t first) {
  InitialRows rows = config.initial_rows(first);
  rows.biased = config.biased;
  rows.adagrad = config.rates == LearningRates::adagrad;
  return rows;
}

}  // namespace

Sgd::Sgd(const SgdConfig& config, const datasets::Prepared& data, cuda::Context& context, Collective* ranks)
    : config_(config),
      context_(context),
      ranks_(ranks ? *ranks : alone_),
      data_(data, config.biased),
      grid_(ordered(config, data, data_.mean, context.is_gpu())),
      ratings_(context, std::span<const cuda::SgdRating>(grid_.ratings)),
      users_(context, GradientSide::users, data.train.offsets(), initial_rows(config, 0)),
      items_(context, GradientSide::items, data.train_by_item.offsets(),
             initial_rows(config, data.users * config.factors)),
      shares_(GridShares::make(ranks_, grid_.blocks, context.is_gpu())) {
  grid_.ratings = {};                                   // on the device now
  if (ranks_.size() > 1) config_.deterministic = true;  // all ranks need the same model
  if (shares_) {
    user_blocks_ = blocks_of(grid_.user_block, grid_.blocks);
    item_blocks_ = blocks_of(grid_.item_block, grid_.blocks);
  }
}

void Sgd::train_epoch() {
  const auto first = static_cast<int64_t>(random_bits(config_.seed, epoch_) % static_cast<uint64_t>(grid_.blocks));
  cuda::SgdParams params = config_.params(epoch_);
  params.deterministic = config_.deterministic;
  const cuda::SgdTask task = {.grid = {ratings_.data(), grid_.cells.data(), grid_.blocks},
                              .first_users = 0,
                              .last_users = grid_.blocks,
                              .first_round = first,
                              .last_round = first + grid_.blocks,
                              .factors = config_.factors,
                              .users = users_.side(),
                              .items = items_.side(),
                              .params = params,
                              .squared_error = &squared_error_};
  if (shares_) {
    train_shared(task);
  } else {
    cuda::sgd_rounds(context_, task);
  }
  context_.backend().synchronize();
  epoch_++;
}

void Sgd::train_shared(cuda::SgdTask task) {
  std::vector<double> errors(grid_.blocks * grid_.blocks);
  task.cell_errors = errors.data();
  task.first_users = shares_->own().begin;
  task.last_users = shares_->own().end;
  shares_->train_rounds(task.first_round, users_.in(user_blocks_), items_.in(item_blocks_), [&](int64_t round) {
    task.first_round = round;
    task.last_round = round + 1;
    cuda::sgd_rounds(context_, task);
  });
  errors = ranks_.sum(std::move(errors));  // of other ranks' cells, each has zeros
  squared_error_ = std::accumulate(errors.begin(), errors.end(), 0.0);
}

std::unique_ptr<TrainedModel> Sgd::model() const {
  auto model = std::make_unique<SgdModel>();
  set_factors(*model, config_, data_, users_, items_);
  model->biases = config_.biased;
  return model;
}

void Sgd::save(const std::filesystem::path& folder) const {
  datasets::Hdf5File file = datasets::Hdf5File::create(folder / "state.h5");
  file.set_schema("sartor.sgd_state", 1);
  file.set_attribute("epoch", epoch_);
  users_.write(file);
  items_.write(file);
  file.close();
}

void Sgd::load(const std::filesystem::path& folder) {
  const datasets::Hdf5File file = datasets::Hdf5File::open(folder / "state.h5");
  file.require_schema("sartor.sgd_state", 1);
  epoch_ = file.int_attribute("epoch");
  users_.read(file);
  items_.read(file);
}

}  // namespace sartor
