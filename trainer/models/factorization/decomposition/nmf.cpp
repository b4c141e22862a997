#include "models/factorization/decomposition/nmf.h"

#include <cmath>

#include "base/random.h"
#include "base/require.h"
#include "factorization/implicit/implicit.h"
#include "models/factorization/model_file.h"
#include "models/factorization/rating_sides.h"

namespace sartor {
namespace {

// Numbers of a side as factors (rows, f) and biases (rows), 0 without.
struct Split {
  std::vector<float> factors, bias;

  Split(const std::vector<float>& numbers, int64_t f, bool biases) {
    for (size_t row = 0; row < numbers.size(); row += f + biases) {
      factors.insert(factors.end(), numbers.begin() + row, numbers.begin() + row + f);
      bias.push_back(biases ? numbers[row + f] : 0);
    }
  }
};

}  // namespace

FactorSide Nmf::make_side(const datasets::Prepared& data, const datasets::StoredRatings& ratings) {
  require(!context_.is_gpu(),
          "model.algorithm: nmf (non-negative factorization) runs on CPUs only, expected "
          "device: cpu");
  require(config_.biases || data.rating_min >= 0,
          "{}: the smallest rating is {}, expected 0 or more for non-negative factors without biases",
          data.file.path().string(), data.rating_min);
  return read_side(context_, ranks_, ratings, columns());
}

Nmf::Nmf(const NmfConfig& config, const datasets::Prepared& data, cuda::Context& context, Collective* ranks)
    : config_(config),
      context_(context),
      ranks_(ranks ? *ranks : alone_),
      item_counts_(row_counts(data.train_by_item)),
      mean_(mean_rating(data)),
      rating_min_(data.rating_min),
      rating_max_(data.rating_max),
      users_(make_side(data, data.train)),
      items_(make_side(data, data.train_by_item)),
      gram_(context, config.missing == NmfMissing::zero ? columns() * columns() : 0) {
  double target = mean_;
  if (config_.missing == NmfMissing::zero) {
    target *=
        static_cast<double>(data.train.size()) / (static_cast<double>(data.users) * static_cast<double>(data.items));
  }
  if (!config_.biases) mean_ = 0;
  initialize(users_, target, config_.seed);
  initialize(items_, target, static_cast<int64_t>(random_bits(config_.seed, 1) >> 1));
}

// |normal numbers|, and biases of 0. target: mean of what is approximated.
void Nmf::initialize(FactorSide& side, double target, int64_t seed) const {
  const double usual = config_.biases ? 0.1 : std::sqrt(target / static_cast<double>(config_.factors));
  const double scale = config_.init_scale ? *config_.init_scale : usual;
  std::vector<float> numbers;
  for (int64_t at = 0; at < side.factors.size(); at++) {
    const bool is_bias = config_.biases && at % columns() == config_.factors;
    numbers.push_back(is_bias ? 0 : static_cast<float>(scale * std::abs(random_normal(seed, at))));
  }
  side.factors.write(numbers);
}

void Nmf::train_epoch() {
  update(items_, users_);
  update(users_, items_);
  context_.backend().synchronize();
}

void Nmf::update(const FactorSide& fixed, FactorSide& solved) {
  if (gram_.size() > 0) cuda::gram(context_, {fixed.all(), 0, columns(), gram_.data()});
  solve_share(ranks_, context_, solved.pieces, solved.ratings, {{&solved.factors, columns()}},
              [&](int64_t first, const cuda::Csr<const float>& ratings) {
                cuda::nonnegative_update(context_, {.ratings = ratings,
                                                    .mean = static_cast<float>(mean_),
                                                    .biases = config_.biases,
                                                    .fixed = fixed.all(),
                                                    .gram = gram_.data(),
                                                    .solved = solved.own(first, ratings.rows),
                                                    .params = config_.params()});
              });
}

NmfModel Nmf::factors() const {
  NmfModel model;
  model.factors = config_.factors;
  model.biases = config_.biases;
  model.missing_are_zero = config_.missing == NmfMissing::zero;
  model.mean = mean_;
  model.rating_min = config_.missing == NmfMissing::zero ? 0 : rating_min_;
  model.rating_max = rating_max_;
  Split users(finite(users_.factors, "users/factors"), config_.factors, config_.biases);
  Split items(finite(items_.factors, "items/factors"), config_.factors, config_.biases);
  model.user_factors = std::move(users.factors);
  model.user_bias = std::move(users.bias);
  model.item_factors = std::move(items.factors);
  model.item_bias = std::move(items.bias);
  model.item_count = item_counts_;
  model.popularity_weight = config_.popularity_weight;
  model.solver = config_.params();
  return model;
}

void Nmf::save(const std::filesystem::path& folder) const {
  save_state(folder, "sartor.nmf_state", [&](const auto& visit) { visit_state(*this, visit); });
}

void Nmf::load(const std::filesystem::path& folder) {
  load_state(folder, "sartor.nmf_state", [&](const auto& visit) { visit_state(*this, visit); });
}

}  // namespace sartor
