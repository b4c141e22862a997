#include "models/filters/ease.h"

#include "base/require.h"
#include "core/cpu_backend.h"
#include "core/parallel_for.h"
#include "linear/invert_spd.h"
#include "models/factorization/model_file.h"
#include "models/filters/interaction_graph.h"
#include "sparse/filters/multiply_sparse.h"
#include "sparse/filters/sparse_product.h"

namespace sartor {
namespace {

using datasets::Hdf5File;

class EaseScores : public ItemScores {
 public:
  EaseScores(cuda::Context& context, const EaseModel& model) : context_(context), model_(model) {}

  void score(const UserRatings& histories, cuda::Rows<float> scores) override {
    const int64_t items = model_.item_number();
    cuda::sparse_product(context_, {.matrix = {histories.users(), histories.offsets.data(), histories.items.data(),
                                               histories.values.data()},
                                    .right = {model_.weights.data(), items, items},
                                    .product = scores});
  }

 private:
  cuda::Context& context_;
  const EaseModel& model_;
};

}  // namespace

std::unique_ptr<ItemScores> EaseModel::item_scores(cuda::Context& context) const {
  return std::make_unique<EaseScores>(context, *this);
}

void EaseModel::write_learned(Hdf5File& file) const { write_list(file, "items/weights", weights); }

void EaseModel::read_learned(const Hdf5File& file) {
  weights = read_finite(file, "items/weights", items.size() * items.size());
}

Ease::Ease(const EaseConfig& config, const datasets::Prepared& data, cuda::Context& context)
    : config_(config), context_(context) {
  require_cpu(context, name);
  require(data.train.size() > 0, "{}: there are no training ratings", data.file.path().string());
  model_.read_histories(data);
}

void Ease::train_epoch() {
  const int64_t items = model_.item_number();
  const auto graph = interaction_graph(model_.seen_offsets, model_.seen_items, items, 0, 0);
  auto& p = model_.weights;
  p.resize(items * items);
  cuda::multiply_sparse(
      context_, {.left = graph.by_item.view(), .right = graph.by_user.view(), .product = {p.data(), items, items}});
  for (int64_t item = 0; item < items; item++) p[item * (items + 1)] += static_cast<float>(config_.regularization);
  cuda::invert_spd(context_, {{p.data(), items, items}});

  std::vector<float> scales(items);
  for (int64_t item = 0; item < items; item++) scales[item] = -1 / p[item * (items + 1)];
  cuda::parallel_for(cuda::cpu(context_).threads, items, 64, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) {
      for (int64_t j = 0; j < items; j++) p[i * items + j] *= scales[j];
      p[i * (items + 1)] = 0;
    }
  });
}

void Ease::save(const std::filesystem::path& folder) const {
  Hdf5File file = Hdf5File::create(folder / "state.h5");
  file.set_schema("sartor.ease_state", 1);
  write_list(file, "weights", model_.weights);
  file.close();
}

void Ease::load(const std::filesystem::path& folder) {
  const Hdf5File file = Hdf5File::open(folder / "state.h5");
  file.require_schema("sartor.ease_state", 1);
  model_.weights = read_finite(file, "weights", model_.item_number() * model_.item_number());
}

}  // namespace sartor
