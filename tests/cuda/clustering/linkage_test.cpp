// Agglomerative clustering against its definition, computed from the rows of the clusters in each step.
#include "clustering/linkage.h"

#include <gmock/gmock.h>

#include <cmath>

#include "support/backends.h"

namespace sartor::cuda {
namespace {

using ::testing::ElementsAre;

constexpr Linkage all_methods[] = {Linkage::single, Linkage::complete, Linkage::average, Linkage::ward};

std::vector<Merge> linked(Context& context, const Matrix& rows, Linkage method) {
  std::vector<Merge> merges(std::max<int64_t>(rows.rows - 1, 0));
  linkage(context, {{rows.values.data(), rows.rows, rows.columns}, method, merges.data()});
  return merges;
}

double squares(const Matrix& rows, int64_t a, int64_t b) {
  double sum = 0;
  for (int64_t c = 0; c < rows.columns; c++) sum += std::pow(double{rows.row(a)[c]} - double{rows.row(b)[c]}, 2);
  return sum;
}

using Members = std::vector<int64_t>;

double ward(const Matrix& rows, const Members& a, const Members& b) {
  double sum = 0;
  for (int64_t c = 0; c < rows.columns; c++) {
    double mean_a = 0, mean_b = 0;
    for (const int64_t i : a) mean_a += rows.row(i)[c];
    for (const int64_t i : b) mean_b += rows.row(i)[c];
    sum += std::pow(mean_a / std::ssize(a) - mean_b / std::ssize(b), 2);
  }
  return std::sqrt(sum * 2 * std::ssize(a) * std::ssize(b) / (std::ssize(a) + std::ssize(b)));
}

double distance(const Matrix& rows, const Members& a, const Members& b, Linkage method) {
  if (method == Linkage::ward) return ward(rows, a, b);
  double least = INFINITY, most = 0, sum = 0;
  for (const int64_t i : a) {
    for (const int64_t j : b) {
      const double each = std::sqrt(squares(rows, i, j));
      least = std::min(least, each);
      most = std::max(most, each);
      sum += each;
    }
  }
  const double mean = sum / static_cast<double>(a.size() * b.size());
  return method == Linkage::single ? least : method == Linkage::complete ? most : mean;
}

std::vector<Merge> naive(const Matrix& rows, Linkage method) {
  std::vector<std::pair<int64_t, Members>> clusters;  // by number
  for (int64_t r = 0; r < rows.rows; r++) clusters.push_back({r, {r}});
  std::vector<Merge> merges;
  while (clusters.size() > 1) {
    size_t x = 0, y = 1;
    double least = INFINITY;
    for (size_t a = 0; a < clusters.size(); a++) {
      for (size_t b = a + 1; b < clusters.size(); b++) {
        const double each = distance(rows, clusters[a].second, clusters[b].second, method);
        if (each < least) least = each, x = a, y = b;
      }
    }
    Members all = clusters[x].second;
    all.insert(all.end(), clusters[y].second.begin(), clusters[y].second.end());
    merges.push_back({static_cast<double>(clusters[x].first), static_cast<double>(clusters[y].first), least,
                      static_cast<double>(all.size())});
    clusters.erase(clusters.begin() + static_cast<int64_t>(y));
    clusters.erase(clusters.begin() + static_cast<int64_t>(x));
    clusters.push_back({rows.rows + std::ssize(merges) - 1, all});
  }
  return merges;
}

struct LinkageShape {
  int64_t rows, columns;
};
std::string name(const LinkageShape& shape) { return fmt::format("{}x{}", shape.rows, shape.columns); }

class LinkageByDefinition : public BackendTest<LinkageShape> {};

TEST_P(LinkageByDefinition, MergesTheNearestClusters) {
  if (backend() == TestBackend::gpu) GTEST_SKIP() << "runs on CPUs only";
  const Matrix rows = normal_rows(shape().rows, shape().columns, 3);
  for (const Linkage method : all_methods) {
    SCOPED_TRACE(static_cast<int>(method));
    const auto found = linked(context(), rows, method), expected = naive(rows, method);
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); i++) {
      ASSERT_EQ(found[i].first, expected[i].first) << i;
      ASSERT_EQ(found[i].second, expected[i].second) << i;
      ASSERT_NEAR(found[i].distance, expected[i].distance, 1e-12 * expected[i].distance) << i;
      ASSERT_EQ(found[i].size, expected[i].size) << i;
    }
    auto one = Context::cpu(1, isa());
    EXPECT_EQ(linked(one, rows, method), found);
  }
}

INSTANTIATE_BACKENDS(LinkageByDefinition, LinkageShape{0, 3}, LinkageShape{1, 3}, LinkageShape{2, 1},
                     LinkageShape{31, 5}, LinkageShape{64, 2}, LinkageShape{150, 17});

// The distances of a worked example: two pairs of rows at the same distance, and their union.
TEST(Linkage, HeightsOfTheWorkedExample) {
  auto context = Context::cpu(1);
  const Matrix rows(4, 4, {5, 4, 3, 0, 4, 5, 0, 3, 3, 0, 5, 4, 0, 3, 4, 5});
  const auto heights = [&](Linkage method) {
    std::vector<double> all;
    for (const auto& merge : linked(context, rows, method)) all.push_back(std::round(merge.distance * 1e6) / 1e6);
    return all;
  };
  EXPECT_THAT(heights(Linkage::single), ElementsAre(4.472136, 4.472136, 6.324555));
  EXPECT_THAT(heights(Linkage::complete), ElementsAre(4.472136, 4.472136, 7.211103));
  EXPECT_THAT(heights(Linkage::average), ElementsAre(4.472136, 4.472136, 6.767829));
  EXPECT_THAT(heights(Linkage::ward), ElementsAre(4.472136, 4.472136, 8.485281));
}

TEST(Linkage, EqualRowsAreMergedFirst) {
  auto context = Context::cpu(1);
  const Matrix rows(5, 1, {1, 1, 7, 1, 7});
  for (const Linkage method : all_methods) {
    SCOPED_TRACE(static_cast<int>(method));
    const auto merges = linked(context, rows, method);
    EXPECT_EQ(merges[0].distance, 0);
    EXPECT_EQ(merges[2].distance, 0);
    EXPECT_GE(merges[3].distance, 6);
  }
}

}  // namespace
}  // namespace sartor::cuda
