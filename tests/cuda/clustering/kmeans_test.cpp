// Operations of k-means against double loops.
#include "clustering/kmeans.h"

#include <gmock/gmock.h>

#include <cmath>

#include "support/backends.h"

namespace sartor::cuda {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

struct KMeansShape {
  int64_t rows, columns, clusters;
};
std::string name(const KMeansShape& shape) {
  return fmt::format("{}x{}_{}_clusters", shape.rows, shape.columns, shape.clusters);
}

struct Nearest {
  std::vector<int32_t> nearest;
  std::vector<float> scores;
};

Nearest find_nearest(Context& context, const Matrix& rows, const Matrix& centroids) {
  const DeviceRows x(context, rows), c(context, centroids);
  DeviceBuffer<int32_t> nearest(context, rows.rows);
  DeviceBuffer<float> scores(context, rows.rows);
  nearest_centroids(context, {x.view(), c.view(), nearest.data(), scores.data()});
  return {nearest.to_host(), scores.to_host()};
}

struct Sums {
  std::vector<double> sums;
  std::vector<int64_t> sizes;
};

Sums find_sums(Context& context, const Matrix& rows, const std::vector<int32_t>& clusters, int64_t count) {
  const DeviceRows x(context, rows);
  const auto labels = upload(context, clusters);
  DeviceBuffer<double> sums(context, count * rows.columns);
  DeviceBuffer<int64_t> sizes(context, count);
  cluster_sums(context, {x.view(), labels.data(), count, sums.data(), sizes.data()});
  return {sums.to_host(), sizes.to_host()};
}

double score_of(const Matrix& rows, int64_t r, const Matrix& centroids, int64_t k) {
  double score = 0;
  for (int64_t c = 0; c < rows.columns; c++) {
    score += (rows.row(r)[c] - centroids.row(k)[c] / 2.0) * centroids.row(k)[c];
  }
  return score;
}

class KMeansOperations : public BackendTest<KMeansShape> {
 protected:
  void SetUp() override {
    BackendTest::SetUp();
    rows_ = normal_rows(shape().rows, shape().columns, 1);
    centroids_ = normal_rows(shape().clusters, shape().columns, 2);
  }
  Matrix rows_, centroids_;
};
class KMeansOnCpus : public KMeansOperations {};

TEST_P(KMeansOperations, FindTheNearestCentroid) {
  const auto [nearest, scores] = find_nearest(context(), rows_, centroids_);
  for (int64_t r = 0; r < rows_.rows; r++) {
    double best = -INFINITY, magnitude = 1;
    for (int64_t k = 0; k < centroids_.rows; k++) best = std::max(best, score_of(rows_, r, centroids_, k));
    for (int64_t c = 0; c < rows_.columns; c++) magnitude += std::abs(rows_.row(r)[c]) * 3;
    ASSERT_GE(nearest[r], 0);
    ASSERT_LT(nearest[r], centroids_.rows);
    const double tolerance = 1e-6 * magnitude;  // of sums in fp32
    ASSERT_NEAR(scores[r], best, tolerance);
    ASSERT_NEAR(score_of(rows_, r, centroids_, nearest[r]), best, 2 * tolerance);
  }
}

TEST_P(KMeansOperations, OfEqualCentroidsTheFirstIsFound) {
  for (int64_t k = 0; k < centroids_.rows; k++) {
    std::copy_n(centroids_.row(k / 2 * 2), shape().columns, centroids_.row(k));
  }
  for (const int32_t k : find_nearest(context(), rows_, centroids_).nearest) ASSERT_EQ(k % 2, 0);
}

TEST_P(KMeansOnCpus, ARowDoesNotDependOnOthersOrThreads) {
  const auto all = find_nearest(context(), rows_, centroids_);
  auto one = Context::cpu(1, isa());
  for (int64_t r = 0; r < rows_.rows; r += 7) {
    const Matrix row(1, rows_.columns, {rows_.row(r), rows_.row(r) + rows_.columns});
    const auto alone = find_nearest(one, row, centroids_);
    ASSERT_EQ(alone.nearest[0], all.nearest[r]);
    ASSERT_EQ(alone.scores[0], all.scores[r]);
  }
}

TEST_P(KMeansOperations, SumTheRowsOfClusters) {
  const int64_t d = shape().columns, clusters = shape().clusters;
  std::vector<int32_t> labels(shape().rows);
  for (size_t r = 0; r < labels.size(); r++) labels[r] = static_cast<int32_t>((r * r) % clusters);  // some are empty
  const auto [sums, sizes] = find_sums(context(), rows_, labels, clusters);
  std::vector<double> expected(clusters * d);
  std::vector<int64_t> counts(clusters);
  for (int64_t r = 0; r < rows_.rows; r++) {
    counts[labels[r]]++;
    for (int64_t c = 0; c < d; c++) expected[labels[r] * d + c] += static_cast<double>(rows_.row(r)[c]);
  }
  EXPECT_EQ(sizes, counts);
  for (size_t i = 0; i < sums.size(); i++) ASSERT_NEAR(sums[i], expected[i], 1e-10);
  if (backend() == TestBackend::gpu) return;
  auto one = Context::cpu(1, isa());
  EXPECT_EQ(find_sums(one, rows_, labels, clusters).sums, sums);
}

TEST_P(KMeansOnCpus, MeasureDistancesToCandidates) {
  const int64_t d = shape().columns, candidates = std::min<int64_t>({shape().rows, shape().clusters, most_candidates});
  const Matrix chosen(candidates, d, {rows_.values.begin(), rows_.values.begin() + candidates * d});
  std::vector<float> found(shape().rows * most_candidates);
  candidate_distances(context(),
                      {{rows_.values.data(), shape().rows, d}, {chosen.values.data(), candidates, d}, found.data()});
  for (int64_t r = 0; r < shape().rows; r++) {
    for (int64_t t = 0; t < candidates; t++) {
      double squares = 0;
      for (int64_t c = 0; c < d; c++) squares += std::pow(double{rows_.row(r)[c]} - double{rows_.row(t)[c]}, 2);
      const float value = found[r * most_candidates + t];
      ASSERT_NEAR(value, squares, 1e-5 * squares);
      if (r == t) {
        ASSERT_EQ(value, 0);
      }
    }
  }
}

const auto shapes = ::testing::Values(KMeansShape{1, 1, 1}, KMeansShape{5, 3, 2}, KMeansShape{97, 17, 33},
                                      KMeansShape{1000, 64, 100}, KMeansShape{5000, 8, 3}, KMeansShape{300, 300, 257});
const auto named = [](const auto& info) { return backend_test_name(info); };
const auto cpus = ::testing::Values(TestBackend::cpu_v3, TestBackend::cpu_v4);
const auto all = ::testing::Values(TestBackend::cpu_v3, TestBackend::cpu_v4, TestBackend::gpu);
INSTANTIATE_TEST_SUITE_P(, KMeansOperations, ::testing::Combine(all, shapes), named);
INSTANTIATE_TEST_SUITE_P(, KMeansOnCpus, ::testing::Combine(cpus, shapes), named);

TEST(KMeansTasks, RejectTasksThatDoNotFit) {
  auto context = Context::cpu(1);
  const std::vector<float> values(64);
  std::vector<int32_t> nearest(4);
  std::vector<float> scores(4 * most_candidates);
  const Rows<const float> rows = {values.data(), 4, 3};
  const auto find = [&](Rows<const float> centroids) {
    nearest_centroids(context, {rows, centroids, nearest.data(), scores.data()});
  };
  EXPECT_THAT(
      [&] {
        find({values.data(), 2, 2});
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("rows have 3 columns, centroids 2")));
  EXPECT_THAT(
      [&] {
        find({values.data(), 0, 3});
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("0 centroids, expected 1 or more")));
  EXPECT_THAT(
      [&] {
        candidate_distances(context, {rows, {values.data(), 17, 3}, scores.data()});
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("17 candidates, expected at most 16")));
}

}  // namespace
}  // namespace sartor::cuda
