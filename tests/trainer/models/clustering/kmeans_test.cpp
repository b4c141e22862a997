// k-means against scikit-learn, and its own rules.
#include "models/clustering/kmeans.h"

#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "core/gpu/module.h"
#include "models/clustering/seeding.h"
#include "support/folder_test.h"
#include "support/paths.h"
#include "support/random.h"
#include "support/thread_ranks.h"

namespace sartor {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

cuda::Rows<const float> view(const Matrix& matrix) { return {matrix.values.data(), matrix.rows, matrix.columns}; }

// `centers` groups of rows around points that are far apart.
Matrix groups(int64_t rows, int64_t columns, int64_t centers) {
  Matrix matrix = normal_rows(rows, columns, 4);
  for (int64_t r = 0; r < rows; r++) matrix.row(r)[r % centers % columns] += static_cast<float>(20 * (1 + r % centers));
  return matrix;
}

void finish(KMeans& kmeans) {
  while (!kmeans.finished()) kmeans.step();
}

Clustering clustered(const KMeansConfig& config, const Matrix& rows, std::vector<float> initial = {}, int threads = 2,
                     Collective* ranks = nullptr) {
  auto context = cuda::Context::cpu(threads);
  KMeans kmeans(config, view(rows), std::move(initial), context, threads, ranks);
  finish(kmeans);
  return kmeans.result();
}

TEST(KMeans, FindsWhatScikitLearnFinds) {
  const auto golden = nlohmann::json::parse(std::ifstream(testing::source_path("tests/golden/clustering.json")));
  for (const auto& expected : golden["kmeans"]) {
    const std::vector<float> values = expected["rows"], start = expected["start"];
    const int64_t columns = expected["columns"];
    const Matrix rows(std::ssize(values) / columns, columns, values);
    const KMeansConfig config = {
        .n_clusters = std::ssize(start) / columns, .max_iter = expected["max_iter"], .tol = expected["tol"]};
    auto context = cuda::Context::cpu(2);
    KMeans kmeans(config, view(rows), start, context, 2);
    finish(kmeans);
    const Clustering found = kmeans.result();
    EXPECT_EQ(found.labels, expected["labels"].get<std::vector<int32_t>>());
    EXPECT_EQ(kmeans.iterations(), expected["iterations"].get<int64_t>());
    const std::vector<float> centroids = expected["centroids"];
    EXPECT_THAT(found.centroids, ::testing::Pointwise(::testing::FloatNear(1e-5), centroids));
    const auto summary = summarize(view(rows), found);
    const double inertia = expected["inertia"];
    EXPECT_NEAR(summary.inertia, inertia, 1e-5 * inertia);
    const auto metrics = judge(view(rows), found, summary);
    ASSERT_EQ(metrics.size(), 6u);
    const double ratio = expected["calinski_harabasz"];
    EXPECT_NEAR(metrics[4].value, ratio, 1e-4 * ratio);
    EXPECT_NEAR(metrics[5].value, expected["davies_bouldin"].get<double>(), 1e-4);
  }
}

// Two pairs of rows at distance sqrt(20); each centroid is the middle of a pair.
TEST(KMeans, DividesTheWorkedExample) {
  const Matrix rows(4, 4, {5, 4, 3, 0, 4, 5, 0, 3, 3, 0, 5, 4, 0, 3, 4, 5});
  for (int64_t seed = 0; seed < 5; seed++) {
    const auto found = clustered({.n_clusters = 2, .n_init = 10, .seed = seed}, rows);
    EXPECT_NEAR(summarize(view(rows), found).inertia, 20, 1e-5);
  }
  EXPECT_NEAR(summarize(view(rows), clustered({.n_clusters = 4}, rows)).inertia, 0, 1e-9);
  EXPECT_THAT(clustered({.n_clusters = 1}, rows).centroids, ElementsAre(3, 3, 3, 3));
}

TEST(KMeans, InertiaNeverRises) {
  const Matrix rows = normal_rows(500, 7, 3);
  auto context = cuda::Context::cpu(2);
  KMeans kmeans({.n_clusters = 20}, view(rows), {}, context, 2);
  double before = INFINITY;
  while (!kmeans.finished()) {
    const double inertia = kmeans.step()[0].value;
    EXPECT_LE(inertia, before * (1 + 1e-6));
    before = inertia;
  }
}

TEST(KMeans, FindsGroupsThatAreFarApart) {
  const Matrix rows = groups(700, 9, 7);
  for (int64_t seed = 0; seed < 10; seed++) {
    const auto found = clustered({.n_clusters = 7, .seed = seed}, rows);
    for (int64_t r = 7; r < rows.rows; r++) ASSERT_EQ(found.labels[r], found.labels[r - 7]);
  }
}

TEST(KMeans, ThreadsAndRanksFindTheSameBits) {
  const Matrix rows = normal_rows(3001, 13, 5);
  const KMeansConfig config = {.n_clusters = 40, .max_iter = 7, .seed = 3};
  const auto expected = clustered(config, rows, {}, 1);
  const auto same = [&](const Clustering& found) {
    EXPECT_EQ(found.labels, expected.labels);
    EXPECT_EQ(found.centroids, expected.centroids);
  };
  same(clustered(config, rows, {}, 3));
  for (const int size : {2, 3}) {
    for (const auto& found :
         testing::on_threads(size, [&](Collective& ranks) { return clustered(config, rows, {}, 1, &ranks); })) {
      same(found);
    }
  }
}

TEST(KMeans, EqualRowsLeaveClustersEmpty) {
  const Matrix rows(6, 1, {1, 1, 1, 5, 5, 5});
  const auto found = clustered({.n_clusters = 4}, rows);
  const auto summary = summarize(view(rows), found);
  EXPECT_EQ(summary.inertia, 0);
  EXPECT_EQ(std::ranges::count(summary.sizes, 0), 2);
  EXPECT_EQ(std::ranges::count(summary.nearest, -1), 2);
}

TEST(KMeans, OnlyAssignsRowsWithoutIterations) {
  const Matrix rows(4, 1, {0, 1, 9, 10});
  const auto found = clustered({.n_clusters = 2, .centroids = "given", .max_iter = 0}, rows, {8, 2});
  EXPECT_THAT(found.labels, ElementsAre(1, 1, 0, 0));
  EXPECT_THAT(found.centroids, ElementsAre(8, 2));
}

TEST(KMeans, ChoosesDifferentRandomRows) {
  const auto chosen = choose_random_rows(50, 50, 1);
  EXPECT_EQ(std::set<int64_t>(chosen.begin(), chosen.end()).size(), 50u);
  EXPECT_NE(choose_random_rows(50, 5, 1), choose_random_rows(50, 5, 2));
  EXPECT_EQ(clustered({.n_clusters = 30, .init = KMeansInit::random}, normal_rows(30, 2, 1)).clusters, 30);
}

TEST(KMeans, RejectsMoreClustersThanRows) {
  const Matrix rows(3, 1, {1, 2, 3});
  EXPECT_THAT([&] { clustered({.n_clusters = 4}, rows); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("model.n_clusters is 4, expected at most 3")));
  EXPECT_THAT([&] { clustered({.n_clusters = 2}, rows, {1}); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("has 1 values, expected 2 centroids")));
}

TEST(KMeans, a_gpu_finds_the_clusters_of_the_cpu) {
  std::string why_not;
  if (cuda::gpu_count(&why_not) == 0) GTEST_SKIP() << why_not;
  const Matrix rows = groups(300, 9, 7);
  const KMeansConfig config = {.n_clusters = 7, .seed = 1};
  auto context = cuda::Context::gpu();
  KMeans kmeans(config, view(rows), {}, context, 2);
  finish(kmeans);
  const auto found = kmeans.result(), expected = clustered(config, rows);
  EXPECT_EQ(found.labels, expected.labels);
  EXPECT_THAT(found.centroids, ::testing::Pointwise(::testing::FloatNear(1e-4), expected.centroids));
}

class KMeansState : public testing::FolderTest {};

TEST_F(KMeansState, ContinuesWithTheSameBits) {
  const Matrix rows = normal_rows(200, 4, 6);
  const KMeansConfig config = {.n_clusters = 9, .n_init = 3, .max_iter = 4};
  const auto expected = clustered(config, rows);
  for (int64_t stop = 1; stop < 12; stop++) {
    auto context = cuda::Context::cpu(2);
    KMeans first(config, view(rows), {}, context, 2), second(config, view(rows), {}, context, 2);
    for (int64_t step = 0; step < stop && !first.finished(); step++) first.step();
    first.save(folder_);
    second.load(folder_);
    finish(second);
    EXPECT_EQ(second.result().labels, expected.labels);
    EXPECT_EQ(second.result().centroids, expected.centroids);
  }
}

}  // namespace
}  // namespace sartor
