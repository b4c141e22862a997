#include "models/factorization/gradient/svdpp.h"

#include "base/require.h"
#include "models/factorization/row_shares.h"
#include "storage/hdf5_file.h"

namespace sartor {
namespace {

cuda::Context& on_cpu(cuda::Context& context) {
  require(!context.is_gpu(), "model.algorithm: svdpp runs on CPUs only, expected device: cpu");
  return context;
}

UserRatings centred(const datasets::StoredRatings& ratings, double mean) {
  UserRatings centred;
  centred.offsets = ratings.offsets();
  centred.items.reserve(ratings.size());
  centred.values.reserve(ratings.size());
  read_rows(ratings, 0, ratings.rows(), [&](int64_t, const auto& columns, const auto& values) {
    centred.items.insert(centred.items.end(), columns.begin(), columns.end());
    for (const float value : values) centred.values.push_back(static_cast<float>(value - mean));
  });
  return centred;
}

}  // namespace

Svdpp::Svdpp(const SvdppConfig& config, const datasets::Prepared& data, cuda::Context& context)
    : config_(config),
      context_(on_cpu(context)),
      data_(data, true),
      ratings_(centred(data.train, data_.mean)),
      batches_(random_batches(ratings_, config.batch_users, config.seed)),
      users_(context, GradientSide::users, data.train.offsets(), config.initial_rows(0)),
      items_(context, GradientSide::items, data.train_by_item.offsets(),
             config.initial_rows(data.users * config.factors)),
      implicit_(context, GradientSide::implicit, data.train_by_item.offsets(),
                config.initial_rows((data.users + data.items) * config.factors)) {}

void Svdpp::train_epoch() {
  cuda::svdpp_epoch(
      context_, {.ratings = {ratings_.users(), ratings_.offsets.data(), ratings_.items.data(), ratings_.values.data()},
                 .batches = batches_.view(),
                 .users = users_.side(),
                 .items = items_.side(),
                 .implicit = implicit_.side().rows,
                 .params = config_.params(epoch_),
                 .squared_error = &squared_error_});
  epoch_++;
}

std::unique_ptr<TrainedModel> Svdpp::model() const {
  auto model = std::make_unique<SvdppModel>();
  set_factors(*model, config_, data_, users_, items_);
  model->implicit = implicit_.factors();
  model->add_implicit(ratings_, model->user_factors);
  return model;
}

void Svdpp::save(const std::filesystem::path& folder) const {
  datasets::Hdf5File file = datasets::Hdf5File::create(folder / "state.h5");
  file.set_schema("sartor.svdpp_state", 1);
  file.set_attribute("epoch", epoch_);
  for (const GradientRows* rows : {&users_, &items_, &implicit_}) rows->write(file);
  file.close();
}

void Svdpp::load(const std::filesystem::path& folder) {
  const datasets::Hdf5File file = datasets::Hdf5File::open(folder / "state.h5");
  file.require_schema("sartor.svdpp_state", 1);
  epoch_ = file.int_attribute("epoch");
  for (GradientRows* rows : {&users_, &items_, &implicit_}) rows->read(file);
}

}  // namespace sartor
