#include "models/clustering/kmeans.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "base/random.h"
#include "base/require.h"
#include "clustering/kmeans.h"
#include "models/clustering/scaling.h"
#include "models/clustering/seeding.h"
#include "models/factorization/model_file.h"

namespace sartor {
namespace {

using datasets::Hdf5File;

// Elements of all ranks: rank r has those from bounds[r] to bounds[r + 1] - 1.
void gather_labels(Collective& ranks, std::vector<int32_t>& labels, std::span<const int64_t> bounds) {
  static_assert(sizeof(float) == sizeof(int32_t));
  std::vector<float> bits(labels.size());
  std::ranges::transform(labels, bits.begin(), [](int32_t label) { return std::bit_cast<float>(label); });
  ranks.gather(bits, bounds);
  std::ranges::transform(bits, labels.begin(), [](float value) { return std::bit_cast<int32_t>(value); });
}

std::vector<int64_t> equal_shares(int64_t rows, int ranks) {
  std::vector<int64_t> bounds;
  for (int64_t rank = 0; rank <= ranks; rank++) bounds.push_back(rows * rank / ranks);
  return bounds;
}

}  // namespace

KMeans::KMeans(const KMeansConfig& config, cuda::Rows<const float> rows, std::vector<float> initial,
               cuda::Context& context, int threads, Collective* ranks)
    : config_(config),
      rows_(rows),
      initial_(std::move(initial)),
      context_(context),
      threads_(threads),
      ranks_(ranks ? *ranks : alone_),
      mean_(column_means(rows)),
      centred_(rows.rows * rows.columns),
      squares_(rows.rows),
      device_centroids_(context, config.n_clusters * rows.columns),
      device_scores_(context, rows.rows),
      device_labels_(context, rows.rows),
      device_sums_(context, config.n_clusters * rows.columns),
      device_sizes_(context, config.n_clusters),
      best_inertia_(INFINITY) {
  const int64_t clusters = config.n_clusters, d = rows.columns;
  require(clusters <= rows.rows, "model.n_clusters is {}, expected at most {}, the number of rows", clusters,
          rows.rows);
  require(initial_.empty() || std::ssize(initial_) == clusters * d,
          "model.centroids: has {} values, expected {} centroids, as model.n_clusters, of {} columns", initial_.size(),
          clusters, d);
  for (int64_t r = 0; r < rows.rows; r++) {
    for (int64_t c = 0; c < d; c++) {
      const auto value = static_cast<float>(rows.row(r)[c] - mean_[c]);
      centred_[r * d + c] = value;
      squares_[r] += static_cast<double>(value) * static_cast<double>(value);
    }
  }
  const auto values = static_cast<double>(std::max<int64_t>(rows.rows * d, 1));
  threshold_ = config.tol * std::accumulate(squares_.begin(), squares_.end(), 0.0) / values;
  if (context.is_gpu()) device_rows_ = {context, centred_};
}

cuda::Rows<const float> KMeans::device_rows() const {
  return {context_.is_gpu() ? device_rows_.data() : centred_.data(), rows_.rows, rows_.columns};
}

std::vector<Metric> KMeans::step() {
  if (iteration_ == 0) start_run();
  const std::vector<int32_t> before = labels_;
  const double inertia = assign();
  int64_t moved = 0;
  for (size_t r = 0; r < before.size(); r++) moved += labels_[r] != before[r];
  iteration_++;
  bool settled = moved == 0 || config_.max_iter == 0;
  if (!settled && (update() <= threshold_ || iteration_ == config_.max_iter)) {
    assign();  // the labels of the result are those of its centroids
    settled = true;
  }
  if (settled) end_run();
  return {{"inertia", inertia}, {"moved", static_cast<double>(moved)}};
}

void KMeans::start_run() {
  const int64_t d = rows_.columns;
  labels_.assign(rows_.rows, -1);
  centroids_ = initial_;
  for (size_t i = 0; i < centroids_.size(); i++) centroids_[i] -= static_cast<float>(mean_[i % d]);
  if (!centroids_.empty()) return;
  const uint64_t seed = random_bits(config_.seed, run_);
  std::vector<int64_t> chosen;
  if (config_.init == KMeansInit::random) {
    chosen = choose_random_rows(rows_.rows, config_.n_clusters, seed);
  } else {
    auto cpu = cuda::Context::cpu(threads_);
    chosen = choose_spread_rows(cpu, host_rows(), config_.n_clusters, seed);
  }
  for (const int64_t row : chosen) centroids_.insert(centroids_.end(), host_rows().row(row), host_rows().row(row) + d);
}

// Assigns each row to its nearest centroid. Returns the sum of the squared distances.
double KMeans::assign() {
  device_centroids_.write(centroids_);
  const auto bounds = equal_shares(rows_.rows, ranks_.size());
  const int64_t first = bounds[ranks_.rank()], count = bounds[ranks_.rank() + 1] - first;
  const auto rows = device_rows();
  cuda::nearest_centroids(context_, {{rows.row(first), count, rows.columns},
                                     {device_centroids_.data(), config_.n_clusters, rows.columns},
                                     device_labels_.data() + first,
                                     device_scores_.data() + first});
  scores_.resize(rows.rows);
  device_labels_.read(labels_);
  device_scores_.read(scores_);
  if (ranks_.size() > 1) {
    gather_labels(ranks_, labels_, bounds);
    ranks_.gather(scores_, bounds);
    device_labels_.write(labels_);
  }
  double inertia = 0;
  for (int64_t r = 0; r < rows.rows; r++) inertia += std::max(squares_[r] - 2.0 * scores_[r], 0.0);
  return inertia;
}

// Moves the centroids to the means of their rows. Returns the sum of the squared movements.
double KMeans::update() {
  const int64_t clusters = config_.n_clusters, d = rows_.columns;
  cuda::cluster_sums(context_,
                     {device_rows(), device_labels_.data(), clusters, device_sums_.data(), device_sizes_.data()});
  auto sums = device_sums_.to_host();
  auto sizes = device_sizes_.to_host();
  if (std::ranges::count(sizes, 0) > 0) fill_empty(sums, sizes);
  double shift = 0;
  for (int64_t i = 0; i < clusters * d; i++) {
    const int64_t size = sizes[i / d];
    if (size == 0) continue;
    const auto value = static_cast<float>(sums[i] / static_cast<double>(size));
    shift += std::pow(static_cast<double>(value) - static_cast<double>(centroids_[i]), 2);
    centroids_[i] = value;
  }
  return shift;
}

// Gives each empty cluster the row that is farthest from its centroid, of those that are not equal to it and not alone
// in their cluster.
void KMeans::fill_empty(std::vector<double>& sums, std::vector<int64_t>& sizes) const {
  const int64_t d = rows_.columns;
  const auto distance = [&](int64_t row) { return squares_[row] - 2.0 * scores_[row]; };
  std::vector<int64_t> farthest(rows_.rows);
  std::iota(farthest.begin(), farthest.end(), 0);
  std::ranges::stable_sort(farthest, std::greater(), distance);
  auto next = farthest.begin();
  for (size_t k = 0; k < sizes.size(); k++) {
    if (sizes[k] > 0) continue;
    while (next != farthest.end() && sizes[labels_[*next]] == 1) ++next;
    if (next == farthest.end() || distance(*next) <= 0) return;
    const float* row = host_rows().row(*next);
    const int32_t from = labels_[*next++];
    for (int64_t c = 0; c < d; c++) {
      sums[from * d + c] -= static_cast<double>(row[c]);
      sums[k * d + c] = static_cast<double>(row[c]);
    }
    sizes[from]--;
    sizes[k] = 1;
  }
}

void KMeans::end_run() {
  const Clustering found = {config_.n_clusters, rows_.columns, centroids_, labels_, {}};
  const double inertia = summarize(host_rows(), found).inertia;
  if (inertia < best_inertia_) {
    best_inertia_ = inertia;
    best_centroids_ = centroids_;
    best_labels_ = labels_;
    best_iterations_ = iteration_;
  }
  run_++;
  iteration_ = 0;
}

Clustering KMeans::result() const {
  Clustering clustering = {config_.n_clusters, rows_.columns, best_centroids_, best_labels_, {}};
  for (size_t i = 0; i < best_centroids_.size(); i++) {
    clustering.centroids[i] = static_cast<float>(best_centroids_[i] + mean_[i % rows_.columns]);
  }
  return clustering;
}

void KMeans::save(const std::filesystem::path& folder) const {
  Hdf5File file = Hdf5File::create(folder / "state.h5");
  file.set_schema("sartor.kmeans_state", 1);
  file.set_attribute("run", run_);
  file.set_attribute("iteration", iteration_);
  write_list(file, "/centroids", centroids_);
  write_list(file, "/labels", labels_);
  file.set_attribute("best_inertia", best_inertia_);
  file.set_attribute("best_iterations", best_iterations_);
  write_list(file, "/best/centroids", best_centroids_);
  write_list(file, "/best/labels", best_labels_);
  file.close();
}

void KMeans::load(const std::filesystem::path& folder) {
  const Hdf5File file = Hdf5File::open(folder / "state.h5");
  file.require_schema("sartor.kmeans_state", 1);
  const int64_t size = config_.n_clusters * rows_.columns;
  run_ = file.int_attribute("run");
  iteration_ = file.int_attribute("iteration");
  centroids_ = read_finite(file, "/centroids", size);
  labels_ = read_list<int32_t>(file, "/labels", rows_.rows);
  best_inertia_ = file.double_attribute("best_inertia");
  best_iterations_ = file.int_attribute("best_iterations");
  const bool any = std::isfinite(best_inertia_);
  best_centroids_ = read_finite(file, "/best/centroids", any ? size : 0);
  best_labels_ = read_list<int32_t>(file, "/best/labels", any ? rows_.rows : 0);
}

}  // namespace sartor
