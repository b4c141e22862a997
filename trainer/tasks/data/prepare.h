// task: prepare. Converts a table of ratings to a prepared HDF5 file.
#pragma once

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "interactions/collect.h"
#include "interactions/split.h"
#include "runtime/runtime.h"
#include "tables/presets.h"

namespace sartor {

struct PrepareConfig : RuntimeConfig {
  datasets::RatingsConfig source;
  datasets::CleaningConfig cleaning;
  datasets::SplitConfig split;
  std::optional<std::string> test_path;
  std::string output;
  std::optional<std::string> rejects;

  template <class Fields> void describe(Fields& field) {
    RuntimeConfig::describe(field);
    field("source", source, "Table of ratings to read.");
    field("cleaning", cleaning, "How to clean the ratings.");
    field("split", split, "How to split the ratings into training, validation and test.");
    field("test_path", test_path, file_path(),
          "File or pattern with the test ratings, for split.method files. Its format is described by source. A pair in "
          "both tables is merged as cleaning.duplicates says, and is a test rating if the last one is.");
    field.required("output", output, file_path(), "Prepared HDF5 file to write.");
    field("rejects", rejects, file_path(),
          "TSV file to write rejected rows to, with the reason for each; OUTPUT.rejects.tsv if absent.");
  }
  void check() const {
    require((split.method == datasets::SplitMethod::files) == test_path.has_value(),
            "test_path is for split.method files, which needs it; split.method is {}{}", name_of(split.method),
            test_path ? " (test_path: null clears it)" : "");
  }
  // The table of the test ratings; only with test_path.
  datasets::RatingsConfig test_source() const {
    auto test = source;
    test.table.path = test_path.value();
    return test;
  }
  std::string rejects_path() const { return rejects.value_or(output + ".rejects.tsv"); }
  std::vector<std::filesystem::path> reads() const {
    auto files = datasets::files_to_read(source.table);
    if (test_path) std::ranges::copy(datasets::files_to_read(test_source().table), std::back_inserter(files));
    return files;
  }
  std::vector<Output> writes() const { return {{output}, {rejects_path()}}; }
};

void prepare(const PrepareConfig& config, Runtime& runtime);

}  // namespace sartor
