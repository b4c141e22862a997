// A config with fields of all types.
#pragma once

#include "schema/fields.h"

namespace sartor::example {

enum class Split { random, stratified, temporal };

constexpr auto choices(Split) {
  return std::to_array<Choice<Split>>(
      {{"random", Split::random}, {"stratified", Split::stratified}, {"temporal", Split::temporal}});
}

struct SourceConfig {
  std::string path;
  std::string separator = ",";

  template <class Fields> void describe(Fields& field) {
    field.required("path", path, file_path(), "Table to read.");
    field("separator", separator, one_of(",", "|", "::"), "Text between two columns.");
  }
  bool operator==(const SourceConfig&) const = default;
};

struct ModelConfig {
  int64_t factors = 64;
  float regularization = 0.05f;
  double tolerance = 1e-8;
  bool weighted = true;

  template <class Fields> void describe(Fields& field) {
    field("factors", factors, between(1, 65536), "Latent dimensions of users and items.");
    field("regularization", regularization, at_least(0), "Weight of the squared factors in the loss.");
    field("tolerance", tolerance, above(0), "Change of the loss at which training stops.");
    field("weighted", weighted, "Scale a row's regularization by its number of ratings.");
  }
  void check() const { require(!weighted || regularization > 0, "weighted needs regularization above 0"); }
  bool operator==(const ModelConfig&) const = default;
};

struct RunConfig {
  std::string task, output = "runs/example";
  std::optional<int64_t> seed;

  template <class Fields> void describe(Fields& field) {
    field.required("task", task, one_of("example"), "Name of the task.");
    field("output", output, "Folder of the run.");
    field("seed", seed, at_least(0), "Seed of everything random; drawn if absent.");
  }
  bool operator==(const RunConfig&) const = default;
};

struct ExampleConfig {
  RunConfig run;  // its fields are described at the top level
  Split split = Split::random;
  double fraction = 0.1;  // described only for random splits
  std::vector<int64_t> at = {1, 10};
  std::vector<SourceConfig> sources;
  std::optional<SourceConfig> items;
  ModelConfig model;

  template <class Fields> void describe(Fields& field) {
    run.describe(field);
    field("split", split, "Method of splitting the rows.");
    if (split == Split::random) field("fraction", fraction, between(0, 1), "Part of the rows to test on.");
    field("at", at, at_least(1), "Lengths of the lists to judge.");
    field("sources", sources, "Tables to read.");
    field("items", items, "Table of the items.");
    field("model", model, "Model to train.");
  }
  bool operator==(const ExampleConfig&) const = default;
};

}  // namespace sartor::example
