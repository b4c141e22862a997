// task: cluster on tables and models.
#include "tasks/clusters/cluster.h"

#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/run_task.h"
#include "schema/config.h"
#include "schema/document.h"
#include "storage/hdf5_file.h"
#include "storage/stored_embeddings.h"
#include "support/factor_models.h"
#include "support/folder_test.h"

namespace sartor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using Json = nlohmann::json;

const std::string points = "id,x,y,z\n客户1,0,0,9\n客户2,0,1,9\nc,10,10,9\nd,10,11,9\n";

class ClusterTask : public testing::WorkingFolderTest {
 protected:
  ClusterTask() { write("points.csv", points); }

  static Task made() { return task("cluster", Processes::sharing, "", cluster, {"model.max_iter"}); }

  static std::vector<std::string> cpu(const std::string& text) {
    return text.find("device:") == text.npos ? std::vector<std::string>{"device=cpu"} : std::vector<std::string>();
  }
  void run(const std::string& text, bool resume = false) const {
    made().run({.config = "c.yaml",
                .document = parse_document("task: cluster\n" + text, "c.yaml", cpu(text)),
                .resume = resume});
  }
  void refused(const std::string& text, const std::string& said) const {
    EXPECT_THAT([&] { run(text); }, ThrowsMessage<std::invalid_argument>(HasSubstr(said))) << text;
    EXPECT_FALSE(std::filesystem::exists("runs")) << said;
  }
};

std::string of_table(const std::string& columns, const std::string& more = "model: {n_clusters: 2}") {
  return "data: {table: {path: points.csv, id: id, columns: " + columns + "}}\noutput: runs/a\n" + more + "\n";
}

TEST_F(ClusterTask, WritesLabelsAndCentroids) {
  run(of_table("[x, y]", "model: {n_clusters: 2, n_init: 5}"));
  const auto labels = read("runs/a/model/labels.csv");
  const bool swapped = labels.find("客户1,1") != labels.npos;
  EXPECT_EQ(labels, swapped ? "id,cluster,distance\n客户1,1,0.5\n客户2,1,0.5\nc,0,0.5\nd,0,0.5\n"
                            : "id,cluster,distance\n客户1,0,0.5\n客户2,0,0.5\nc,1,0.5\nd,1,0.5\n");
  EXPECT_THAT(read("runs/a/model/clusters.csv"), HasSubstr(swapped ? "1,2,0.5,客户1\n" : "0,2,0.5,客户1\n"));
  const auto results = Json::parse(read("runs/a/results.json"))["train"];
  EXPECT_NEAR(results["inertia"].get<double>(), 1, 1e-5);
  EXPECT_EQ(results["clusters"], 2);
  const auto file = datasets::Hdf5File::open("runs/a/model/clusters.h5");
  EXPECT_THAT(file.matrix<float>("/centroids").read(),
              swapped ? ElementsAre(10, 10.5, 0, 0.5) : ElementsAre(0, 0.5, 10, 10.5));
  EXPECT_THAT(file.list<int64_t>("/sizes").read(), ElementsAre(2, 2));
}

TEST_F(ClusterTask, AgglomerativeWritesTheLinkageMatrix) {
  run(of_table("[x, y]", "model: {algorithm: agglomerative, linkage: single, distance_threshold: 5}\ntables: tsv"));
  EXPECT_EQ(read("runs/a/model/labels.tsv"),
            "id\tcluster\tdistance\n客户1\t0\t0.5\n客户2\t0\t0.5\nc\t1\t0.5\nd\t1\t0.5\n");
  const auto linkage = datasets::Hdf5File::open("runs/a/model/clusters.h5").matrix<double>("/linkage").read();
  EXPECT_THAT(linkage, ElementsAre(0, 1, 1, 2, 2, 3, 1, 2, 4, 5, std::sqrt(100 + 81), 4));
}

TEST_F(ClusterTask, AssignsNewRowsToEarlierClusters) {
  run(of_table("[x, z]", "scaling: standard\nmodel: {n_clusters: 2, n_init: 5}"));  // z is constant
  write("points.csv", "id,x,z\nnew,9,8\nother,1,9\n");
  run("data: {table: {path: points.csv, id: id, columns: [x, z]}}\noutput: runs/b\n"
      "model: {n_clusters: 2, centroids: runs/a, max_iter: 0}\n");
  const auto before = read("runs/a/model/labels.csv"), after = read("runs/b/model/labels.csv");
  const std::string c = before.find("c,0") != before.npos ? "0" : "1";
  EXPECT_THAT(after, HasSubstr("new," + c + ",1.0198"));  // (10 - 9) / 5 and 9 - 8
  EXPECT_THAT(after, HasSubstr("other," + std::string(c == "0" ? "1" : "0") + ",0.19999"));
}

TEST_F(ClusterTask, ReadsFactorsAndEmbeddings) {
  std::filesystem::create_directory("model");
  made_model(12, 9, 3).save("model");
  run("data: {model: model/factors.h5, of: users}\nscaling: unit\nmodel: {n_clusters: 3}\noutput: runs/users\n");
  EXPECT_EQ(std::ranges::count(read("runs/users/model/labels.csv"), '\n'), 13);
  {
    datasets::EmbeddingsWriter writer("texts.h5", {.pooling = "mean", .normalized = true, .columns = 2}, 3);
    const std::vector<std::string_view> ids = {"甲", "乙", "丙"};
    writer.append(ids, std::vector<int64_t>{1, 2, 3}, std::vector<float>{0, 1, 0, 1.5, 9, 9});
    writer.finish();
  }
  run("data: {model: texts.h5}\nmodel: {algorithm: agglomerative, n_clusters: 2}\noutput: runs/texts\n");
  EXPECT_EQ(read("runs/texts/model/labels.csv"), "id,cluster,distance\n甲,0,0.25\n乙,0,0.25\n丙,1,0\n");
}

TEST_F(ClusterTask, ARunThatIsCompleteIsNotRepeatedAndOtherDataAreRejected) {
  run(of_table("[x, y]"));
  const auto labels = read("runs/a/model/labels.csv");
  run(of_table("[x, y]"), /*resume=*/true);
  write("points.csv", points + "e,1,1,1\n");
  std::filesystem::remove("runs/a/results.json");
  EXPECT_THAT([&] { run(of_table("[x, y]"), true); }, ThrowsMessage<std::invalid_argument>(HasSubstr("vectors_hash")));
  EXPECT_EQ(read("runs/a/model/labels.csv"), labels);
}

TEST_F(ClusterTask, RejectsWrongInput) {
  refused("output: runs/a\nmodel: {n_clusters: 2}\n", "data: expected either model or table, found neither");
  refused("data: {model: a, table: {path: b, id: i, columns: [x]}}\noutput: runs/a\n", "found both");
  refused(of_table("[]"), "columns is empty");
  refused(of_table("[x, x]"), "columns has x twice");
  refused(of_table("[x, w]"), "points.csv");
  refused(of_table("[x]", "model: {n_clusters: 5}"), "model.n_clusters is 5, expected at most 4");
  refused(of_table("[x]", "model: {algorithm: agglomerative}"),
          "expected either n_clusters or distance_threshold, found neither");
  refused(of_table("[x]", "model: {algorithm: agglomerative, n_init: 2}"), "n_init: unknown key");
  refused(of_table("[x]", "device: cuda\nmodel: {algorithm: agglomerative, n_clusters: 2}"), "runs on CPUs only");
  refused(of_table("[x]", "model: {max_iter: 0}"), "max_iter is 0, which requires centroids");
  write("points.csv", "id,x\na,1\na,2\n");
  refused(of_table("[x]"), "points.csv: row 3: the id a occurs twice");
  write("points.csv", "id,x\na,1\nb,很多\n");
  refused(of_table("[x]"), "points.csv: row 3: column x has \"很多\", expected a number from -1e15 to 1e15");
  write("points.csv", "id,x\na,1\nb,1e30\n");
  refused(of_table("[x]"), "row 3: column x has 1e30");
  write("points.csv", "id,x\na,1\nb,\n");
  refused(of_table("[x]"), "row 3: column x has");
  write("points.csv", "id,x\na,1\n\xff\xfe,2\n");
  refused(of_table("[x]"), "points.csv: row 3");
  write("points.csv", "id,x\n");
  refused(of_table("[x]"), "has no rows to cluster");
  refused("data: {model: none.h5}\noutput: runs/a\n", "none.h5");
}

}  // namespace
}  // namespace sartor
