// k-means by Lloyd's algorithm.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "core/context.h"
#include "core/device_buffer.h"
#include "models/clustering/clustering.h"
#include "runtime/collective.h"
#include "schema/fields.h"

namespace sartor {

enum class KMeansInit { spread, random };
constexpr auto choices(KMeansInit) {
  return std::to_array<Choice<KMeansInit>>({{"k-means++", KMeansInit::spread}, {"random", KMeansInit::random}});
}

// Names and defaults as in scikit-learn.
struct KMeansConfig {
  int64_t n_clusters = 8;
  KMeansInit init = KMeansInit::spread;
  std::optional<std::string> centroids;
  int64_t n_init = 1, max_iter = 300;
  double tol = 1e-4;
  int64_t seed = 0;

  template <class Fields> void describe(Fields& field) {
    field("n_clusters", n_clusters, between(1, 1e6), "Number of clusters.");
    field("init", init,
          "How to choose the initial centroids among the rows. k-means++: far from each other, each the best of a few "
          "rows drawn at random; random: any rows.");
    field("centroids", centroids, file_path(),
          "Run folder of an earlier clustering, or its clusters.h5, whose centroids and scaling are the initial ones. "
          "With max_iter: 0, rows are only assigned to them.");
    field("n_init", n_init, between(1, 1000),
          "Number of runs with other initial centroids; the one with the lowest inertia is the result.");
    field("max_iter", max_iter, between(0, 100000), "Maximum number of iterations of a run.");
    field("tol", tol, at_least(0),
          "A run ends when the sum of the squared movements of the centroids is at most this number times the mean "
          "variance of the columns, or when no row changes its cluster.");
    field("seed", seed, "Seed of the initial centroids.");
  }
  void check() const {
    require(!centroids || n_init == 1, "n_init is {}, expected 1 with centroids", n_init);
    require(centroids || max_iter > 0, "max_iter is 0, which requires centroids");
  }
};

class KMeans : public Clusterer {
 public:
  // rows (N, d) in host memory, which must outlive this object. initial: (n_clusters, d), or empty to choose them by
  // `init`. Ranks share the search for nearest centroids. Throws std::invalid_argument if there are fewer rows than
  // clusters, or `initial` has another size.
  KMeans(const KMeansConfig& config, cuda::Rows<const float> rows, std::vector<float> initial, cuda::Context& context,
         int threads, Collective* ranks = nullptr);

  int64_t steps() const override { return config_.n_init * std::max<int64_t>(config_.max_iter, 1); }
  bool finished() const override { return run_ == config_.n_init; }
  std::vector<Metric> step() override;  // an iteration
  Clustering result() const override;
  void save(const std::filesystem::path& folder) const override;
  void load(const std::filesystem::path& folder) override;

  double inertia() const { return best_inertia_; }         // of the best run so far
  int64_t iterations() const { return best_iterations_; }  // of that run

 private:
  void start_run();
  double assign();
  double update();
  void fill_empty(std::vector<double>& sums, std::vector<int64_t>& sizes) const;
  void end_run();
  cuda::Rows<const float> host_rows() const { return {centred_.data(), rows_.rows, rows_.columns}; }
  cuda::Rows<const float> device_rows() const;

  KMeansConfig config_;
  cuda::Rows<const float> rows_;  // as given
  std::vector<float> initial_;
  cuda::Context& context_;
  int threads_;
  Alone alone_;
  Collective& ranks_;
  std::vector<double> mean_;               // of the columns
  std::vector<float> centred_;             // rows minus mean
  std::vector<double> squares_;            // (N) |row|^2
  double threshold_ = 0;                   // of the movement of the centroids
  cuda::DeviceBuffer<float> device_rows_;  // on a GPU
  cuda::DeviceBuffer<float> device_centroids_, device_scores_;
  cuda::DeviceBuffer<int32_t> device_labels_;
  cuda::DeviceBuffer<double> device_sums_;
  cuda::DeviceBuffer<int64_t> device_sizes_;

  // State.
  int64_t run_ = 0, iteration_ = 0;  // of the run
  std::vector<float> centroids_;     // centred
  std::vector<int32_t> labels_;      // -1 before the first iteration of a run
  std::vector<float> scores_;        // of the labels
  std::vector<float> best_centroids_;
  std::vector<int32_t> best_labels_;
  double best_inertia_;
  int64_t best_iterations_ = 0;
};

}  // namespace sartor
