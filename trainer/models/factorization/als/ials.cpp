#include "models/factorization/als/ials.h"

#include <algorithm>
#include <cmath>

#include "base/require.h"
#include "core/cpu_backend.h"
#include "models/factorization/model_file.h"
#include "models/factorization/rating_sides.h"
#include "schema/messages.h"
#include "storage/hdf5_file.h"

namespace sartor {
namespace {

using datasets::Hdf5File;

// Multiplications of a row with n entries: products with G, with its entries, and factorizations.
double row_cost(const IalsConfig& config, int64_t entries) {
  const double n = static_cast<double>(entries), f = static_cast<double>(config.factors);
  if (config.solver == cuda::ImplicitSolver::cg) return static_cast<double>(config.cg_steps + 1) * f * (f + 4 * n);
  const bool exact = config.solver == cuda::ImplicitSolver::cholesky;
  const double s = exact ? f : std::min<double>(static_cast<double>(config.block), f);
  return f * (n * s / 2 + s * s / 6 + 4 * n + (exact ? 0 : f));
}

// Rows of a symmetric matrix, of which only the part from the diagonal on is computed, in shares of similar cost.
std::vector<int64_t> triangle_shares(int64_t factors, int ranks) {
  std::vector<int64_t> bounds = {0};
  for (int rank = 1; rank < ranks; rank++) {
    const double rows = static_cast<double>(factors) * (1 - std::sqrt(1 - static_cast<double>(rank) / ranks));
    bounds.push_back(std::llround(rows / cuda::gram_tile) * cuda::gram_tile);
  }
  bounds.push_back(factors);
  for (int64_t& bound : bounds) bound = std::min(bound, factors);
  return bounds;
}

// Calls use(row, columns, values) for rows begin to end - 1, without the ratings that do not count.
template <class Use> void read_counting(const datasets::StoredRatings& ratings, const EventWeights& weights,
                                        int64_t begin, int64_t end, Use use) {
  const std::vector<int64_t>& offsets = ratings.offsets();
  int64_t row = begin;
  std::vector<int32_t> kept_columns;
  std::vector<float> kept_values;
  read_rows(ratings, begin, end, [&](int64_t place, const auto& columns, const auto& values) {
    const int64_t first = offsets[begin] + place;
    for (; row < end && offsets[row + 1] <= first + std::ssize(columns); row++) {
      kept_columns.clear();
      kept_values.clear();
      for (int64_t at = offsets[row] - first; at < offsets[row + 1] - first; at++) {
        if (!weights.counts(values[at])) continue;
        kept_columns.push_back(columns[at]);
        kept_values.push_back(values[at]);
      }
      use(row, kept_columns, kept_values);
    }
  });
}

// The same, weighted, in the order of the rows. Calls use(columns, values).
template <class Use> void read_weighted(const datasets::StoredRatings& ratings, const EventWeights& weights,
                                        int64_t begin, int64_t end, Use use) {
  read_counting(ratings, weights, begin, end, [&](int64_t, const auto& columns, auto& values) {
    for (float& value : values) value = weights.of(value);
    use(columns, values);
  });
}

int64_t longest_row(std::span<const int64_t> offsets) {
  int64_t longest = 0;
  for (size_t row = 1; row < offsets.size(); row++) longest = std::max(longest, offsets[row] - offsets[row - 1]);
  return longest;
}

// Of implicit_update and gram, as in implicit.h.
int64_t scratch_bytes(cuda::Context& context, const IalsConfig& config, std::span<const int64_t> user_offsets,
                      std::span<const int64_t> item_offsets) {
  constexpr int64_t vectors = 320 << 20;  // of the rows of a pass, on a GPU
  const int64_t f = config.factors, square = f * f * int64_t{sizeof(float)};
  const bool cg = config.solver == cuda::ImplicitSolver::cg;
  const int64_t s = config.solver == cuda::ImplicitSolver::block ? std::min(config.block, f) : f;
  if (context.is_gpu()) {
    const int64_t entries = std::max(user_offsets.back() - user_offsets[0], item_offsets.back() - item_offsets[0]);
    const int64_t predictions = s < f ? vectors + entries * int64_t{sizeof(float)} : 0;
    return square + (cg ? vectors : als_scratch_bytes(context, s) + predictions);
  }
  const int64_t longest = std::max(longest_row(user_offsets), longest_row(item_offsets));
  const int64_t of_thread = cg ? 200 * f : s * (s / 2 + 180) + 50 * f + longest;
  return 2 * square + cuda::cpu(context).threads * of_thread * int64_t{sizeof(float)};
}

// Copies the rows of `from` to those of the same ids.
void copy_rows(const datasets::IdMap& from_ids, const std::vector<float>& from, const datasets::IdMap& ids,
               int64_t factors, cuda::DeviceBuffer<float>& to) {
  for (int64_t row = 0; row < ids.size(); row++) {
    const int32_t known = from_ids.find(ids[row]);
    if (known >= 0) to.write(std::span(from).subspan(known * factors, factors), row * factors);
  }
}

}  // namespace

cuda::ImplicitParams IalsConfig::params() const {
  const bool is_ials = objective == cuda::ImplicitObjective::ials;
  return {.objective = objective,
          .alpha = alpha,
          .unobserved_weight = unobserved_weight.value_or(is_ials ? 0.1f : 1),
          .regularization = regularization,
          .regularization_power = regularization_power.value_or(is_ials ? 1 : 0),
          .solver = solver,
          .cg_steps = cg_steps,
          .block = block};
}

SharePieces Ials::pieces(const datasets::StoredRatings& ratings) const {
  return {ratings.offsets(), [this](int64_t entries) { return row_cost(config_, entries); }, ranks_};
}

RatingMemory Ials::plan(const datasets::Prepared& data, std::optional<int64_t> limit) {
  const auto users = offsets_of_rows(data.train.offsets(), pieces(data.train).share());
  const auto items = offsets_of_rows(data.train_by_item.offsets(), pieces(data.train_by_item).share());
  const int64_t row_bytes = config_.factors * int64_t{sizeof(float)};
  return plan_memory(context_, limit,
                     {.factors = (data.users + data.items + config_.factors) * row_bytes,
                      .scratch = scratch_bytes(context_, config_, users, items) + data.items * row_bytes,
                      .user_offsets = users,
                      .item_offsets = items});
}

FactorSide Ials::make_side(const datasets::Prepared& data, bool by_user, int64_t memory) {
  const datasets::StoredRatings& ratings = by_user ? data.train : data.train_by_item;
  const EventWeights weights = config_.event_weights();
  SharePieces own = pieces(ratings);
  const auto [first, last] = own.share();
  std::vector<int64_t> offsets = {0};
  read_counting(ratings, weights, first, last, [&](int64_t row, const auto& columns, const auto& values) {
    for (size_t at = 0; at < values.size(); at++) {
      if (weights.takes(values[at])) continue;
      const int64_t user = by_user ? row : columns[at], item = by_user ? columns[at] : row;
      require(false,
              "{}: the rating of item {} by user {} is {}, expected 0 or more for weights: {}. model.threshold drops "
              "lower ratings",
              data.file.path().string(), shown(data.read_item_ids()[item]), shown(data.read_user_ids()[user]),
              values[at], name_of(weights.kind));
    }
    offsets.push_back(offsets.back() + std::ssize(columns));
  });
  RatingBlocks blocks(context_, offsets, own.bounds(), memory,
                      [&ratings, weights, first](int64_t begin, int64_t end, auto columns, auto values) {
                        read_weighted(ratings, weights, first + begin, first + end,
                                      [&, at = int64_t{0}](const auto& some_columns, const auto& some_values) mutable {
                                        std::ranges::copy(some_columns, columns.begin() + at);
                                        std::ranges::copy(some_values, values.begin() + at);
                                        at += std::ssize(some_columns);
                                      });
                      });
  FactorSide side(context_, std::move(own), std::move(blocks), config_.factors);
  read_weighted(ratings, weights, first, last, [&, at = int64_t{0}](const auto& columns, const auto& values) mutable {
    side.ratings.write(at, columns, values);
    at += std::ssize(columns);
  });
  return side;
}

Ials::Ials(const IalsConfig& config, const datasets::Prepared& data, cuda::Context& context, Collective* ranks,
           std::optional<int64_t> max_device_memory)
    : config_(config),
      context_(context),
      ranks_(ranks ? *ranks : alone_),
      by_item_(data.train_by_item),
      rating_min_(data.rating_min),
      rating_max_(data.rating_max),
      memory_(plan(data, max_device_memory)),
      users_(make_side(data, true, memory_.users)),
      items_(make_side(data, false, memory_.items)),
      gram_bounds_(triangle_shares(config.factors, ranks_.size())),
      gram_(context, config.factors * config.factors) {
  require(ranks_.sum({static_cast<double>(users_.ratings.size())})[0] > 0, "{}: there are no training ratings{}",
          data.file.path().string(), config.threshold ? " of at least model.threshold" : "");
  // Users are solved first. Those that start from zero need no initial values.
  fill_normal(items_.factors, config_.init_scale / std::sqrt(static_cast<float>(config_.factors)), config_.seed);
  if (config_.start_from) start_from(*config_.start_from, data);
}

void Ials::start_from(const std::filesystem::path& path, const datasets::Prepared& data) {
  const Hdf5File file = open_model_file(path);
  const std::string file_name = file.path().string(), algorithm = algorithm_of(file);
  require(algorithm == name, "model.start_from: {}: the algorithm is {}, expected {}", file_name, shown(algorithm),
          name);
  IalsModel model;
  model.read(file);
  require(model.factors == config_.factors, "model.start_from: {}: has {} factors, expected {}, as model.factors",
          file_name, model.factors, config_.factors);
  copy_rows(model.users, model.user_factors, data.read_user_ids(), config_.factors, users_.factors);
  copy_rows(model.items, model.item_factors, data.read_item_ids(), config_.factors, items_.factors);
}

void Ials::train_epoch() {
  update(items_, users_);
  update(users_, items_);
  context_.backend().synchronize();
}

void Ials::update(const FactorSide& fixed, FactorSide& solved) {
  cuda::gram(context_, {fixed.all(), gram_bounds_[ranks_.rank()], gram_bounds_[ranks_.rank() + 1], gram_.data()});
  gather_rows(ranks_, context_, gram_bounds_, config_.factors, gram_);
  solve_share(ranks_, context_, solved.pieces, solved.ratings, {{&solved.factors, config_.factors}},
              [&](int64_t first, const cuda::Csr<const float>& entries) {
                cuda::implicit_update(context_, {.entries = entries,
                                                 .fixed = fixed.all(),
                                                 .gram = gram_.data(),
                                                 .solved = solved.own(first, entries.rows),
                                                 .params = config_.params()});
              });
}

IalsModel Ials::factors() const {
  IalsModel model;
  model.factors = config_.factors;
  model.rating_min = rating_min_;
  model.rating_max = rating_max_;
  model.user_factors = finite(users_.factors, "users/factors");
  model.item_factors = finite(items_.factors, "items/factors");
  model.user_bias.resize(users_.rows());
  model.item_bias.resize(items_.rows());
  model.item_count = row_counts(by_item_);
  model.weights = config_.event_weights();
  model.solver = config_.params();
  return model;
}

void Ials::save(const std::filesystem::path& folder) const {
  save_state(folder, "sartor.ials_state", [&](const auto& visit) { visit_state(*this, visit); });
}

void Ials::load(const std::filesystem::path& folder) {
  load_state(folder, "sartor.ials_state", [&](const auto& visit) { visit_state(*this, visit); });
}

}  // namespace sartor
