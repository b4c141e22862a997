#include "models/filters/gfcf.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/require.h"
#include "linear/add_product.h"
#include "linear/leading_vectors.h"
#include "models/factorization/model_file.h"
#include "models/filters/interaction_graph.h"
#include "models/filters/on_device.h"
#include "schema/messages.h"
#include "sparse/filters/graph_filter.h"
#include "sparse/filters/sparse_product.h"

namespace sartor {
namespace {

using datasets::Hdf5File;

// Coefficients of the Chebyshev polynomials T_0 to T_order that interpolate f at the roots of T_{order + 1}, where f
// has the value f_k at root cos((k + 1/2) pi / (order + 1)).
template <class F> std::vector<float> interpolate(int64_t order, const F& f) {
  std::vector<float> coefficients;
  for (int64_t degree = 0; degree <= order; degree++) {
    double sum = 0;
    for (int64_t k = 0; k <= order; k++) {
      const double angle = (static_cast<double>(k) + 0.5) * std::numbers::pi / static_cast<double>(order + 1);
      sum += f(k) * std::cos(static_cast<double>(degree) * angle);
    }
    coefficients.push_back(static_cast<float>(sum * (degree == 0 ? 1 : 2) / static_cast<double>(order + 1)));
  }
  return coefficients;
}

// Histories with each entry multiplied by a weight of its item.
SparseMatrix weighted(const UserRatings& histories, const std::vector<float>& weights) {
  SparseMatrix matrix = {histories.offsets, histories.items, histories.values};
  for (size_t at = 0; at < matrix.values.size(); at++) matrix.values[at] *= weights[matrix.columns[at]];
  return matrix;
}

// D^q V
std::vector<float> ideal_of(const GfcfModel& model, const std::vector<int64_t>& item_count) {
  const auto scales = powers(item_count, model.config.ideal_degree_power);
  std::vector<float> ideal = model.vectors;
  for (size_t at = 0; at < ideal.size(); at++) ideal[at] *= scales[at / model.factors()];
  return ideal;
}

class GfcfScores : public ItemScores {
 public:
  GfcfScores(cuda::Context& context, const GfcfModel& model)
      : context_(context), coefficients_(model.coefficients()), factors_(model.factors()) {
    auto graph = interaction_graph(model.seen_offsets, model.seen_items, model.item_number(), 0.5, 0.5);
    before_ = powers(graph.item_count, -model.config.degree_power);
    after_ = {context, powers(graph.item_count, model.config.degree_power)};
    ideal_weights_ = powers(graph.item_count, -2 * model.config.ideal_degree_power);
    for (float& weight : ideal_weights_) weight *= static_cast<float>(model.config.ideal_weight);
    ideal_ = {context, ideal_of(model, graph.item_count)};
    by_user_ = {context, std::move(graph.by_user)};
    by_item_ = {context, std::move(graph.by_item)};
  }

  void score(std::span<const int32_t>, const UserRatings& histories, cuda::Rows<float> scores) override {
    const SparseOnDevice signals(context_, weighted(histories, before_));
    cuda::graph_filter(context_, {.by_user = by_user_.view(),
                                  .by_item = by_item_.view(),
                                  .signals = signals.view(),
                                  .coefficients = coefficients_,
                                  .scale = after_.data(),
                                  .filtered = scores});
    if (factors_ == 0) return;
    const SparseOnDevice weights(context_, weighted(histories, ideal_weights_));
    const cuda::Rows<const float> ideal = {ideal_.data(), scores.columns, factors_};
    const cuda::DeviceBuffer<float> sums(context_, scores.rows * factors_);
    const cuda::Rows<float> of_users = {sums.data(), scores.rows, factors_};
    cuda::sparse_product(context_, {weights.view(), ideal, of_users});
    cuda::add_product(context_, {of_users, ideal, scores});
  }

 private:
  cuda::Context& context_;
  std::vector<float> coefficients_;
  int64_t factors_;
  SparseOnDevice by_user_, by_item_;
  std::vector<float> before_, ideal_weights_;  // (I)
  OnDevice<float> after_;                      // (I)
  OnDevice<float> ideal_;                      // (I, k) D^q V
};

}  // namespace

std::vector<float> GfcfModel::coefficients() const {
  if (config.filter == GraphFilter::linear) return {0.5f, -0.5f};  // P = (1 - (1 - 2 P)) / 2
  // The values are those at the extrema of T_order, as in the authors' implementation, which adjusts the function so
  // that it is exactly 0 and 1 at the ends of the interval.
  return interpolate(config.order, [&](int64_t k) {
    const double x = std::cos(static_cast<double>(k) * std::numbers::pi / static_cast<double>(config.order));
    return 0.5 - 0.5 * std::copysign(std::pow(std::abs(x), config.flatness), x);
  });
}

std::unique_ptr<ItemScores> GfcfModel::item_scores(cuda::Context& context) const {
  return std::make_unique<GfcfScores>(context, *this);
}

void GfcfModel::write_learned(Hdf5File& file) const {
  file.set_attribute("filter", std::string(name_of(config.filter)));
  file.set_attribute("order", config.order);
  file.set_attribute("flatness", config.flatness);
  file.set_attribute("degree_power", config.degree_power);
  file.set_attribute("ideal_weight", config.ideal_weight);
  file.set_attribute("ideal_degree_power", config.ideal_degree_power);
  write_list(file, "items/vectors", vectors);
  write_list(file, "singular_values", singular_values);
}

void GfcfModel::read_learned(const Hdf5File& file) {
  const std::string text = file.string_attribute("filter"), path = file.path().string();
  const auto names = names_of(Among<GraphFilter>());
  require(std::ranges::find(names, text) != names.end(), "{}: filter is {}, expected {}", path, shown(text),
          either(names));
  config.filter = value_of<GraphFilter>(text);
  config.order = file.int_attribute("order");
  require(1 <= config.order && config.order <= 1000, "{}: order is {}, expected 1 to 1000", path, config.order);
  for (const auto& [name, value] : {std::pair("flatness", &config.flatness),
                                    {"degree_power", &config.degree_power},
                                    {"ideal_weight", &config.ideal_weight},
                                    {"ideal_degree_power", &config.ideal_degree_power}}) {
    *value = file.double_attribute(name);
    require(std::isfinite(*value) && *value >= 0, "{}: {} is {}, expected 0 or more", path, name, *value);
  }
  const int64_t factors = file.list<float>("singular_values").rows();
  singular_values = read_finite(file, "singular_values", factors);
  vectors = read_finite(file, "items/vectors", items.size() * factors);
}

Gfcf::Gfcf(const GfcfConfig& config, const datasets::Prepared& data, cuda::Context& context) : context_(context) {
  require(data.train.size() > 0, "{}: there are no training ratings", data.file.path().string());
  require(config.factors <= std::min(data.users, data.items),
          "model.factors is {}, expected at most the number of users and items, {} and {}", config.factors, data.users,
          data.items);
  model_.config = config;
  model_.read_histories(data);
}

void Gfcf::train_epoch() {
  const int64_t items = model_.item_number(), factors = model_.config.factors;
  if (factors == 0) return;
  auto graph = interaction_graph(model_.seen_offsets, model_.seen_items, items, 0.5, 0.5);
  const SparseOnDevice by_user(context_, std::move(graph.by_user)), by_item(context_, std::move(graph.by_item));
  const cuda::DeviceBuffer<float> vectors(context_, items * factors), values(context_, factors);
  cuda::leading_vectors(context_, {.matrix = by_user.view(),
                                   .transposed = by_item.view(),
                                   .oversampling = std::max<int64_t>(16, factors / 8),
                                   .iterations = model_.config.iterations,
                                   .seed = model_.config.seed,
                                   .values = values.data(),
                                   .vectors = {vectors.data(), items, factors}});
  model_.vectors = vectors.to_host();
  model_.singular_values = values.to_host();
}

void Gfcf::save(const std::filesystem::path& folder) const {
  Hdf5File file = Hdf5File::create(folder / "state.h5");
  file.set_schema("sartor.gfcf_state", 1);
  write_list(file, "vectors", model_.vectors);
  write_list(file, "singular_values", model_.singular_values);
  file.close();
}

void Gfcf::load(const std::filesystem::path& folder) {
  const Hdf5File file = Hdf5File::open(folder / "state.h5");
  file.require_schema("sartor.gfcf_state", 1);
  model_.singular_values = read_finite(file, "singular_values", model_.config.factors);
  model_.vectors = read_finite(file, "vectors", model_.item_number() * model_.config.factors);
}

}  // namespace sartor
