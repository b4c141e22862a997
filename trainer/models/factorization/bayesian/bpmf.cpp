#include "models/factorization/bayesian/bpmf.h"

#include <iterator>
#include <numeric>

#include "base/require.h"
#include "models/factorization/model_file.h"
#include "models/factorization/rating_sides.h"
#include "storage/hdf5_file.h"

namespace sartor {
namespace {

using datasets::Hdf5File;

// Purposes of random numbers.
enum Purpose : int64_t { noise, user_prior, item_prior, user_rows, item_rows, user_start, item_start };

double squared_deviations(const datasets::Prepared& data, double mean) {
  double sum = 0;
  read_rows(data.train, 0, data.users, [&](int64_t, const auto&, const auto& values) {
    for (const float value : values) sum += (value - mean) * (value - mean);
  });
  return sum;
}

template <class T> void append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

// Samples (samples, rows, F) as factors (rows, samples, f), divided by sqrt(samples), biases of the samples (rows,
// samples) and their means (rows).
struct Arranged {
  std::vector<float> factors, sample_bias, bias;

  Arranged(const std::vector<float>& drawn, int64_t samples, int64_t f, bool biases) : sample_bias() {
    const int64_t columns = f + biases, rows = std::ssize(drawn) / (samples * columns);
    const float scale = 1 / std::sqrt(static_cast<float>(samples));
    for (int64_t row = 0; row < rows; row++) {
      double sum = 0;
      for (int64_t sample = 0; sample < samples; sample++) {
        const float* numbers = drawn.data() + (sample * rows + row) * columns;
        for (int64_t i = 0; i < f; i++) factors.push_back(scale * numbers[i]);
        sample_bias.push_back(biases ? numbers[f] : 0);
        sum += sample_bias.back();
      }
      bias.push_back(static_cast<float>(sum / static_cast<double>(samples)));
    }
  }
};

}  // namespace

std::vector<std::filesystem::path> BpmfConfig::reads() const {
  std::vector<std::filesystem::path> paths;
  for (const auto* table : {&user_features, &item_features}) {
    if (*table) std::ranges::move((*table)->reads(), std::back_inserter(paths));
  }
  return paths;
}

Bpmf::Side Bpmf::make_side(const datasets::StoredRatings& ratings, const std::optional<FeatureTableConfig>& features,
                           const char* field, const datasets::IdMap& ids) {
  RowFeatures read = features ? read_features(field, *features, ids, ranks_) : RowFeatures();
  return {read_side(context_, ranks_, ratings, columns()), RowPrior(columns(), std::move(read)), {}};
}

Bpmf::Bpmf(const BpmfConfig& config, const datasets::Prepared& data, cuda::Context& context, Collective* ranks)
    : config_(config),
      context_(context),
      ranks_(ranks ? *ranks : alone_),
      item_counts_(row_counts(data.train_by_item)),
      mean_(mean_rating(data)),
      rating_min_(data.rating_min),
      rating_max_(data.rating_max),
      ratings_(data.train.size()),
      users_(make_side(data.train, config_.user_features, "model.user_features", data.read_user_ids())),
      items_(make_side(data.train_by_item, config_.item_features, "model.item_features", data.read_item_ids())),
      squared_error_(squared_deviations(data, mean_)),
      noise_precision_(config_.noise_precision.value_or(1)) {
  const auto seed = [&](Purpose purpose) { return static_cast<int64_t>(random_bits(config_.seed, purpose) >> 1); };
  fill_normal(users_.factors, config_.init_scale, seed(user_start));
  fill_normal(items_.factors, config_.init_scale, seed(item_start));
}

void Bpmf::train_epoch() {
  sweep_++;
  if (!config_.noise_precision) draw_noise(RandomStream(config_.seed, sweep_, noise));
  draw_prior(users_, user_prior);
  draw_prior(items_, item_prior);
  draw(users_, items_, item_rows, nullptr);
  const cuda::DeviceBuffer<double> own(context_, users_.ratings.rows());
  draw(items_, users_, user_rows, own.data());
  std::vector<double> errors(users_.rows());
  own.read(std::span(errors).subspan(users_.first(), users_.ratings.rows()));
  errors = ranks_.sum(std::move(errors));  // each has those of its users, and zeros
  squared_error_ = std::accumulate(errors.begin(), errors.end(), 0.0);
  if (sweep_ > config_.burn_in && (sweep_ - config_.burn_in) % config_.keep_every == 0) {
    keep(users_.samples, items_.samples, samples_);
  }
}

// noise_precision ~ gamma((1 + ratings) / 2, (1 + squared error) / 2)
void Bpmf::draw_noise(RandomStream random) {
  noise_precision_ = random.gamma((1 + static_cast<double>(ratings_)) / 2) / ((1 + squared_error_) / 2);
}

void Bpmf::draw_prior(Side& side, int64_t purpose) {
  RandomStream random(config_.seed, sweep_, purpose);
  side.prior.draw(random, context_, side.factors);
}

void Bpmf::draw(const Side& fixed, Side& drawn, int64_t purpose, double* errors) {
  const int64_t size = columns();
  const auto [begin, end] = drawn.pieces.share();
  const std::vector<float> matrix = drawn.prior.precision(), pulls = drawn.prior.pull(begin, end);
  const cuda::DeviceBuffer<float> precision(context_, std::span(matrix)), pull(context_, std::span(pulls));
  const bool of_each = pulls.size() > static_cast<size_t>(size);
  solve_share(ranks_, context_, drawn.pieces, drawn.ratings, {{&drawn.factors, size}},
              [&](int64_t first, const cuda::Csr<const float>& ratings) {
                cuda::draw_posterior(
                    context_, {.ratings = ratings,
                               .mean = static_cast<float>(mean_),
                               .noise_precision = static_cast<float>(noise_precision_),
                               .biases = config_.biases,
                               .fixed = fixed.all(),
                               .precision = {precision.data(), size, size},
                               .pull = {pull.data() + (of_each ? first * size : 0), of_each ? ratings.rows : 1, size},
                               .seed = random_bits(random_bits(config_.seed, sweep_), purpose),
                               .first_row = drawn.first() + first,
                               .solved = drawn.own(first, ratings.rows),
                               .errors = errors ? errors + first : nullptr});
              });
}

void Bpmf::keep(std::vector<float>& user_samples, std::vector<float>& item_samples, Parameters& parameters) const {
  append(user_samples, finite(users_.factors, "users/factors"));
  append(item_samples, finite(items_.factors, "items/factors"));
  append(parameters.prior_mean, users_.prior.average());
  append(parameters.prior_precision, users_.prior.precision());
  parameters.noise_precision.push_back(static_cast<float>(noise_precision_));
}

BpmfModel Bpmf::factors() const {
  std::vector<float> last_users, last_items;
  Parameters last;
  const bool none = kept() == 0;
  if (none) keep(last_users, last_items, last);
  const Parameters& parameters = none ? last : samples_;
  BpmfModel model;
  model.samples = std::ssize(parameters.noise_precision);
  model.biases = config_.biases;
  model.factors = config_.factors * model.samples;
  model.mean = mean_;
  model.rating_min = rating_min_;
  model.rating_max = rating_max_;
  Arranged users(none ? last_users : users_.samples, model.samples, config_.factors, config_.biases);
  Arranged items(none ? last_items : items_.samples, model.samples, config_.factors, config_.biases);
  model.user_factors = std::move(users.factors);
  model.user_bias = std::move(users.bias);
  model.user_sample_bias = std::move(users.sample_bias);
  model.item_factors = std::move(items.factors);
  model.item_bias = std::move(items.bias);
  model.item_sample_bias = std::move(items.sample_bias);
  model.item_count = item_counts_;
  model.popularity_weight = config_.popularity_weight;
  model.prior_mean = parameters.prior_mean;
  model.prior_precision = parameters.prior_precision;
  model.noise_precision = parameters.noise_precision;
  return model;
}

void Bpmf::save(const std::filesystem::path& folder) const {
  Hdf5File file = Hdf5File::create(folder / "state.h5");
  file.set_schema("sartor.bpmf_state", 1);
  file.set_attribute("sweep", sweep_);
  file.set_attribute("squared_error", squared_error_);
  file.set_attribute("noise_precision", noise_precision_);
  for (const auto& [name, side] : {std::pair<std::string, const Side&>("users", users_), {"items", items_}}) {
    write_state(file, name + "/factors", side.factors);
    write_list(file, name + "/samples", side.samples);
    side.prior.save(file, name);
  }
  write_list(file, "prior_mean", samples_.prior_mean);
  write_list(file, "prior_precision", samples_.prior_precision);
  write_list(file, "noise_precision", samples_.noise_precision);
  file.close();
}

void Bpmf::load(const std::filesystem::path& folder) {
  const Hdf5File file = Hdf5File::open(folder / "state.h5");
  file.require_schema("sartor.bpmf_state", 1);
  sweep_ = file.int_attribute("sweep");
  squared_error_ = file.double_attribute("squared_error");
  noise_precision_ = file.double_attribute("noise_precision");
  samples_.noise_precision = file.list<float>("noise_precision").read();
  const int64_t size = columns();
  samples_.prior_mean = read_list<float>(file, "prior_mean", kept() * size);
  samples_.prior_precision = read_list<float>(file, "prior_precision", kept() * size * size);
  for (const auto& [name, side] : {std::pair<std::string, Side*>("users", &users_), {"items", &items_}}) {
    read_state(file, name + "/factors", side->factors);
    side->samples = read_list<float>(file, name + "/samples", kept() * side->rows() * size);
    side->prior.load(file, name);
  }
}

}  // namespace sartor
