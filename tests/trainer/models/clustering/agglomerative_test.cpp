// Agglomerative clustering against SciPy, and cuts of the tree.
#include "models/clustering/agglomerative.h"

#include <gmock/gmock.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "storage/hdf5_file.h"
#include "support/folder_test.h"
#include "support/paths.h"
#include "support/random.h"

namespace sartor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

cuda::Rows<const float> view(const Matrix& matrix) { return {matrix.values.data(), matrix.rows, matrix.columns}; }

Clustering clustered(const AgglomerativeConfig& config, const Matrix& rows) {
  auto context = cuda::Context::cpu(2);
  Agglomerative agglomerative(config, view(rows), context);
  agglomerative.step();
  EXPECT_TRUE(agglomerative.finished());
  return agglomerative.result();
}

// Whether two labelings divide rows into the same clusters.
template <class Labels> bool same_clusters(const std::vector<int32_t>& found, const Labels& expected) {
  std::map<int64_t, int64_t> to, from;
  for (size_t r = 0; r < found.size(); r++) {
    const int64_t label = expected[r];
    if (to.emplace(found[r], label).first->second != label) return false;
    if (from.emplace(label, found[r]).first->second != found[r]) return false;
  }
  return true;
}

TEST(Agglomerative, FindsWhatSciPyFinds) {
  const auto golden = nlohmann::json::parse(std::ifstream(testing::source_path("tests/golden/clustering.json")));
  for (const auto& expected : golden["linkage"]) {
    const std::string method = expected["method"];
    SCOPED_TRACE(method);
    const std::vector<float> values = expected["rows"];
    const int64_t columns = expected["columns"];
    const Matrix rows(std::ssize(values) / columns, columns, values);
    const auto found =
        clustered({.linkage = value_of<cuda::Linkage>(method), .n_clusters = expected["clusters"]}, rows);
    const std::vector<double> linkage = expected["linkage"];
    ASSERT_EQ(4 * found.merges.size(), linkage.size());
    for (size_t i = 0; i < found.merges.size(); i++) {
      const auto& [first, second, distance, size] = found.merges[i];
      ASSERT_EQ(first, linkage[4 * i]) << i;
      ASSERT_EQ(second, linkage[4 * i + 1]) << i;
      ASSERT_NEAR(distance, linkage[4 * i + 2], 1e-6 * distance) << i;
      ASSERT_EQ(size, linkage[4 * i + 3]) << i;
    }
    const std::vector<int64_t> labels = expected["labels"];
    // Among equal distances SciPy's cut may stop earlier.
    if (std::ranges::max(labels) == found.clusters) {
      EXPECT_TRUE(same_clusters(found.labels, labels));
    }
  }
}

TEST(Agglomerative, CutsAtANumberOrADistance) {
  const Matrix rows(5, 1, {7, 0, 1, 20, 8});
  const auto labels = [&](const AgglomerativeConfig& config) { return clustered(config, rows).labels; };
  using cuda::Linkage;
  EXPECT_THAT(labels({.linkage = Linkage::single, .n_clusters = 1}), ElementsAre(0, 0, 0, 0, 0));
  EXPECT_THAT(labels({.linkage = Linkage::single, .n_clusters = 3}), ElementsAre(0, 1, 1, 2, 0));
  EXPECT_THAT(labels({.linkage = Linkage::single, .n_clusters = 5}), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(labels({.linkage = Linkage::single, .distance_threshold = 6.0}), ElementsAre(0, 1, 1, 2, 0));
  EXPECT_THAT(labels({.linkage = Linkage::single, .distance_threshold = 6.5}), ElementsAre(0, 0, 0, 1, 0));
  EXPECT_THAT(labels({.linkage = Linkage::single, .distance_threshold = 0.0}), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(clustered({.linkage = Linkage::ward, .n_clusters = 3}, rows).centroids, ElementsAre(7.5, 0.5, 20));
}

TEST(Agglomerative, OneRowIsOneCluster) {
  const Matrix row(1, 2, {1, 2});
  const auto found = clustered({.n_clusters = 1}, row);
  EXPECT_THAT(found.labels, ElementsAre(0));
  EXPECT_TRUE(found.merges.empty());
}

TEST(Agglomerative, RejectsTooManyRowsOrClusters) {
  const Matrix rows(3, 1, {1, 2, 3});
  EXPECT_THAT([&] { clustered({.n_clusters = 4}, rows); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("model.n_clusters is 4, expected at most 3")));
  EXPECT_THAT([&] { clustered({.n_clusters = 2, .max_rows = 2}, rows); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("model.max_rows is 2, found 3 rows")));
}

class AgglomerativeState : public testing::FolderTest {};

TEST_F(AgglomerativeState, ComesBackAsItWas) {
  const Matrix rows = normal_rows(50, 4, 6);
  auto context = cuda::Context::cpu(2);
  Agglomerative first({.n_clusters = 3}, view(rows), context), second({.n_clusters = 3}, view(rows), context);
  first.step();
  first.save(folder_);
  second.load(folder_);
  ASSERT_TRUE(second.finished());
  EXPECT_EQ(second.result().merges, first.result().merges);
  EXPECT_EQ(second.result().labels, first.result().labels);
}

}  // namespace
}  // namespace sartor
